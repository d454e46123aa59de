"""What clients may ask of files."""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.web.operations import (
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

FILE = record(
    "File",
    file_id=UUID,
    owner_id=UUID,
    name=STRING,
    mime_type=STRING,
    size_bytes=COUNT,
    created_at=TIME,
    is_public=BOOLEAN,
    updated_at=TIME,
    permission=one_of("owner", "editor", "viewer", "public"),
    checksum=nullable(SHA256),
)
_FILES = record(
    "Files",
    files=array(FILE),
    total=nullable(COUNT),
    page=whole(1),
    size=whole(1),
    next_page=nullable(whole(1)),
    next_cursor=nullable(STRING),
)
_LIST: Mapping[str, Schema] = {
    "page": whole(1, 10_000, 1),
    "size": whole(1, 100, 20),
    "cursor": STRING,
    "sort": one_of("created_at", "-created_at", "name", "-name", "size", "-size"),
    "name": STRING,
    "prefix": STRING,
}
_LIST_ERRORS = ("invalid_query",)
_FILE_ERRORS = ("invalid_uuid", "file_not_found")
_OWN_ERRORS = (*_FILE_ERRORS, "forbidden")
_STORE_ERRORS = ("store_inconsistent",)
_PERMISSION = one_of("viewer", "editor")
_SHARE = record("Share", user_id=UUID, email=STRING, permission=_PERMISSION, created_at=TIME)
_LINK: Mapping[str, Schema] = {"download_url": URL, "expires_at": TIME, "file_name": STRING}
_LINKED = record("DownloadLinked", index=COUNT, file_id=UUID, success={"const": True}, **_LINK)
_NOT_LINKED = record(
    "DownloadRefused", index=COUNT, file_id=STRING, success={"const": False}, error=STRING, message=STRING
)
_BYTES = Raw()

OPERATIONS: Mapping[str, Operation] = {
    "list_owned": Operation(
        "One's own files.",
        {200: _FILES},
        query={**_LIST, "source": one_of("postgres", "s3")},
        errors=_LIST_ERRORS,
    ),
    "list_shared": Operation(
        "Files that others share with one.", {200: _FILES}, query=_LIST, errors=_LIST_ERRORS
    ),
    "list_shortcuts": Operation(
        "Files that one keeps a shortcut to.", {200: _FILES}, query=_LIST, errors=_LIST_ERRORS
    ),
    "summary": Operation("A file's facts.", {200: FILE}, errors=_FILE_ERRORS),
    "rename": Operation(
        "Give a file another name.",
        {204: None},
        takes=record("Name", name=STRING),
        errors=(*JSON_ERRORS, *_OWN_ERRORS, "invalid_file_name"),
    ),
    "delete": Operation("Delete a file.", {204: None}, errors=_OWN_ERRORS),
    "copy": Operation(
        "A copy of the file that belongs to the caller.", {201: FILE}, errors=(*_FILE_ERRORS, *_STORE_ERRORS)
    ),
    "list_shares": Operation("With whom the file is shared.", {200: array(_SHARE)}, errors=_OWN_ERRORS),
    "add_shares": Operation(
        "Share the file with people who have an account: with all of them, or with nobody.",
        {201: record("Shares", shares=array(_SHARE))},
        takes=record(
            "Recipients", recipients=array(record("Recipient", email=STRING, permission=_PERMISSION), 1, 5)
        ),
        errors=(
            *JSON_ERRORS,
            *_OWN_ERRORS,
            "invalid_recipients",
            "recipient_not_found",
            "already_shared",
            "share_limit",
        ),
    ),
    "change_share": Operation(
        "What somebody may do with the file.",
        {204: None},
        takes=record("Permission", permission=_PERMISSION),
        errors=(*JSON_ERRORS, *_OWN_ERRORS, "share_not_found"),
    ),
    "remove_share": Operation("Share the file no longer.", {204: None}, errors=_OWN_ERRORS),
    "publish": Operation(
        "Let anybody read the file.", {201: record("Published", public_url=URL)}, errors=_OWN_ERRORS
    ),
    "unpublish": Operation("Let only those read it who may.", {204: None}, errors=_OWN_ERRORS),
    "add_shortcut": Operation(
        "Keep a shortcut to the file.",
        {201: record("Shortcut", shortcut_id=STRING, file_id=UUID, created_at=TIME)},
        errors=_FILE_ERRORS,
    ),
    "remove_shortcut": Operation("Keep the shortcut no longer.", {204: None}, errors=_FILE_ERRORS),
    "list_folders": Operation(
        "The folders in one's own folder.",
        {
            200: record(
                "Folders",
                prefix=STRING,
                folders=array(
                    record("Folder", prefix=STRING, name=STRING, file_count=COUNT, size_bytes=COUNT)
                ),
                total=COUNT,
                page=whole(1),
                size=whole(1),
                next_page=nullable(whole(1)),
            )
        },
        query={"prefix": STRING, "page": whole(1, 10_000, 1), "size": whole(1, 100, 20)},
        errors=("invalid_folder", "invalid_query", "folder_not_found"),
    ),
    "delete_folder": Operation(
        "Delete all own files below a folder; its path may have slashes in it.",
        {200: record("FolderDeleted", prefix=STRING, deleted=COUNT)},
        errors=("invalid_folder", "folder_not_found"),
    ),
    "batch_download": Operation(
        "URLs of the contents of several files, in the order asked.",
        {
            200: record(
                "DownloadBatch",
                results=array({"anyOf": [_LINKED, _NOT_LINKED]}),
                succeeded=COUNT,
                failed=COUNT,
            )
        },
        takes=record("FileIds", file_ids=array(STRING, 1, 100)),
        errors=JSON_ERRORS,
    ),
    "download": Operation(
        "A URL of the content, or with `delivery=proxied` the content itself.",
        {
            200: (record("Download", **_LINK), _BYTES),
            206: _BYTES,
            304: None,
        },
        query={"delivery": one_of("presigned", "proxied")},
        headers={"Range": STRING, "If-Range": STRING, "If-None-Match": STRING},
        errors=(*_FILE_ERRORS, "invalid_query", "range_not_satisfiable", "store_inconsistent"),
    ),
    **HEALTH,
}
