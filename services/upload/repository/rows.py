"""From rows to values."""

from __future__ import annotations

from typing import Any

from services.upload.model import Method, Session, State

_METHODS = {str(method): method for method in Method}
_STATES = {str(state): state for state in State}

COLUMNS = (
    "s.id, s.upload_uuid, s.user_id, s.upload_method,"
    " standing(s.upload_method, s.status, s.expires_at) AS status, s.file_name,"
    " coalesce(s.mime_type, s.content_type) AS mime_type, s.file_size_bytes,"
    " s.part_size_bytes, s.last_part_bytes, s.total_chunks, s.received_bytes,"
    " s.max_chunk_index, s.storage_key, s.storage_upload_id, s.etag, s.finalise_mode, s.error_code,"
    " s.error_message, s.created_at, s.updated_at, s.expires_at, s.urls_expire_at, s.final_key_taken,"
    " s.checksum"
)


def session_of(row: Any) -> Session:
    """A session from a row that holds ``COLUMNS`` by name."""
    return Session(
        id=row["id"],
        upload_uuid=row["upload_uuid"],
        user_id=row["user_id"],
        method=_METHODS[row["upload_method"]],
        status=_STATES[row["status"]],
        file_name=row["file_name"],
        mime_type=row["mime_type"],
        file_size_bytes=row["file_size_bytes"],
        part_size_bytes=row["part_size_bytes"],
        last_part_bytes=row["last_part_bytes"],
        total_chunks=row["total_chunks"],
        received_bytes=row["received_bytes"],
        max_chunk_index=row["max_chunk_index"],
        storage_key=row["storage_key"],
        storage_upload_id=row["storage_upload_id"],
        etag=row["etag"],
        finalise_mode=row["finalise_mode"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
        urls_expire_at=row["urls_expire_at"],
        final_key_taken=row["final_key_taken"],
        checksum=row["checksum"],
    )
