"""What clients may ask of upload."""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.web.operations import (
    BINARY,
    BOOLEAN,
    COUNT,
    HEALTH,
    JSON_ERRORS,
    SHA256,
    STRING,
    TIME,
    URL,
    UUID,
    Operation,
    Raw,
    Schema,
    array,
    nullable,
    one_of,
    record,
    whole,
)

_STATE = one_of("pending", "assembling", "uploading", "completing", "completed", "failed", "aborted")
_METHOD = one_of("proxy", "multipart", "single", "file", "batch")
_KEY: Mapping[str, Schema] = {
    "Idempotency-Key": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_PARTS = array(record("PartUrl", part_number=whole(1, 10_000), url=URL))
_WANTED: Mapping[str, Schema] = {"file_name": STRING, "file_size_bytes": COUNT}
_UPLOAD = record("UploadId", upload_uuid=UUID)
_SHOWN: Mapping[str, Schema] = {
    "upload_uuid": UUID,
    "status": _STATE,
    "total_chunks": COUNT,
    "received_bytes": COUNT,
    "file_id": nullable(UUID),
    "error": nullable(record("UploadFault", code=STRING, message=nullable(STRING))),
    "file_name": STRING,
    "file_size_bytes": nullable(COUNT),
    "method": _METHOD,
    "created_at": TIME,
    "updated_at": TIME,
    "expires_at": TIME,
}
_COMPLETED = record("Completed", upload_uuid=UUID, status=one_of("completed"), file_id=UUID, size_bytes=COUNT)
_OPEN_ERRORS = (
    *JSON_ERRORS,
    "invalid_file_name",
    "invalid_file_size",
    "file_too_large",
    "too_many_open_uploads",
    "idempotency_conflict",
    "upload_aborted",
)
_ENDED_ERRORS = ("upload_not_found", "wrong_upload_method", "upload_failed", "upload_aborted")
_BY_ID_ERRORS = (*JSON_ERRORS, "invalid_uuid", *_ENDED_ERRORS)

_STORED = record(
    "StoredFile",
    upload_uuid=UUID,
    file_id=UUID,
    owner_id=UUID,
    name=STRING,
    mime_type=STRING,
    size_bytes=COUNT,
    created_at=TIME,
    is_public=BOOLEAN,
    updated_at=TIME,
    permission=one_of("owner"),
    checksum=nullable(SHA256),
)
_FORM = record("FileForm", file=BINARY)
_FORMS = record("FilesForm", files=array(BINARY, 1, 100), optional={"folder": STRING})
_ENTRY: Mapping[str, Schema] = {"index": COUNT, "file_name": nullable(STRING)}
_BATCH_STORED = record("BatchStored", **_ENTRY, success={"const": True}, file_id=UUID, size_bytes=COUNT)
_BATCH_REFUSED = record("BatchRefused", **_ENTRY, success={"const": False}, error=STRING, message=STRING)

OPERATIONS: Mapping[str, Operation] = {
    "proxy_session": Operation(
        "Begin an upload in chunks through us.",
        {200: record("ProxySession", upload_uuid=UUID, total_chunks=COUNT, expires_at=TIME)},
        takes=record("ProxyUpload", **_WANTED),
        query={"finalise": one_of("inline", "queued", "detached")},
        headers=_KEY,
        errors=(*_OPEN_ERRORS, "invalid_query", "switch_disabled", "still_finalising"),
    ),
    "proxy_chunk": Operation(
        "Send one chunk; the answer to the last one means that the file is stored.",
        {
            200: record(
                "Chunk",
                upload_uuid=UUID,
                chunk_index=COUNT,
                size_bytes=COUNT,
                received_bytes=COUNT,
                status=_STATE,
                file_id=nullable(UUID),
            )
        },
        takes=Raw("application/octet-stream"),
        query={"id": whole(0, 9_999)},
        headers={"Upload-UUID": UUID, "Checksum": SHA256},
        required=("id", "Upload-UUID"),
        errors=(
            "missing_header",
            "invalid_uuid",
            "invalid_chunk_index",
            "invalid_checksum",
            "length_required",
            "body_too_large",
            "unsupported_media_type",
            *_ENDED_ERRORS,
            "upload_not_open",
            "chunk_conflict",
            "size_mismatch",
            "chunk_gap",
            "checksum_mismatch",
            "too_many_open_uploads",
            "insufficient_storage",
            "still_finalising",
        ),
    ),
    "multipart_session": Operation(
        "Begin an upload in parts straight to the store; the URLs of all parts.",
        {
            200: record(
                "MultipartSession",
                upload_uuid=UUID,
                total_chunks=COUNT,
                storage_upload_id=STRING,
                parts=_PARTS,
                urls_expire_at=TIME,
                expires_at=TIME,
            )
        },
        takes=record("MultipartUpload", **_WANTED, part_size_bytes=whole(1)),
        headers=_KEY,
        errors=(*_OPEN_ERRORS, "invalid_part_size", "too_many_parts", "still_finalising"),
    ),
    "multipart_presign": Operation(
        "Fresh URLs of some parts.",
        {200: record("PartUrls", upload_uuid=UUID, parts=_PARTS, urls_expire_at=TIME)},
        takes=record("PartNumbers", upload_uuid=UUID, part_numbers=array(whole(1, 10_000), 1, 1_000)),
        errors=(*_BY_ID_ERRORS, "invalid_part_number", "upload_not_open"),
    ),
    "multipart_part": Operation(
        "Say that a part is in the store.",
        {200: record("PartTaken", upload_uuid=UUID, part_number=whole(1), size_bytes=COUNT, etag=STRING)},
        takes=record("Part", upload_uuid=UUID, part_number=whole(1, 10_000), size_bytes=COUNT, etag=STRING),
        errors=(*_BY_ID_ERRORS, "invalid_part_number", "upload_not_open", "size_mismatch"),
    ),
    "multipart_complete": Operation(
        "Make the file of its parts; the answer means that it is stored.",
        {200: _COMPLETED},
        takes=_UPLOAD,
        errors=(*_BY_ID_ERRORS, "missing_parts", "invalid_part", "upload_not_open", "still_finalising"),
    ),
    "single_session": Operation(
        "Begin an upload by one PUT straight to the store.",
        {
            200: record(
                "SingleSession",
                upload_uuid=UUID,
                url=nullable(URL),
                method=one_of("PUT"),
                urls_expire_at=TIME,
                expires_at=TIME,
            )
        },
        takes=record("SingleUpload", **_WANTED),
        headers=_KEY,
        errors=(*_OPEN_ERRORS, "still_finalising"),
    ),
    "single_complete": Operation(
        "Check what was PUT; the answer means that the file is stored.",
        {200: _COMPLETED},
        takes=record("SingleUploaded", upload_uuid=UUID, optional={"etag": nullable(STRING)}),
        errors=(
            *_BY_ID_ERRORS,
            "object_missing",
            "size_mismatch",
            "invalid_part",
            "upload_not_open",
            "still_finalising",
        ),
    ),
    "file": Operation(
        "Upload a file in one request; the answer means that it is stored.",
        {201: _STORED},
        takes=(Raw("application/octet-stream"), Raw("multipart/form-data", _FORM)),
        query={"mode": one_of("streamed", "spooled", "buffered")},
        headers={**_KEY, "X-File-Name": STRING, "Checksum": SHA256},
        errors=(
            "missing_header",
            "invalid_file_name",
            "invalid_checksum",
            "invalid_query",
            "invalid_form",
            "invalid_field",
            "length_required",
            "body_too_large",
            "file_too_large",
            "unsupported_media_type",
            "checksum_mismatch",
            "size_mismatch",
            "too_many_open_uploads",
            "idempotency_conflict",
            "upload_aborted",
            "upload_failed",
            "file_not_found",
            "insufficient_storage",
            "still_finalising",
        ),
    ),
    "batch": Operation(
        "Upload 1 to 100 files in one form; each stands for itself.",
        {
            200: record(
                "Batch",
                results=array({"anyOf": [_BATCH_STORED, _BATCH_REFUSED]}),
                uploaded=COUNT,
                failed=COUNT,
            )
        },
        takes=Raw("multipart/form-data", _FORMS),
        headers=_KEY,
        errors=(
            "invalid_form",
            "invalid_field",
            "body_too_large",
            "unsupported_media_type",
            "invalid_folder",
        ),
    ),
    "status": Operation(
        "How far an upload is.",
        {200: record("UploadStatus", **_SHOWN, uploaded_chunks=array(COUNT))},
        query={"upload_uuid": UUID},
        required=("upload_uuid",),
        errors=("missing_field", "invalid_uuid", "upload_not_found"),
    ),
    "sessions": Operation(
        "One's own uploads, newest first.",
        {
            200: record(
                "Uploads",
                sessions=array(record("Upload", **_SHOWN)),
                total=COUNT,
                page=whole(1),
                size=whole(1),
                next_page=nullable(whole(1)),
            )
        },
        query={"state": one_of("open", "all"), "page": whole(1, 10_000, 1), "size": whole(1, 100, 20)},
        errors=("invalid_query",),
    ),
    "session_abort": Operation(
        "Give an upload up; what it left is removed.",
        {204: None},
        errors=("invalid_uuid", "upload_not_found", "upload_not_open"),
    ),
    **HEALTH,
}
