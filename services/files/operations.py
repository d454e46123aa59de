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
    "download": Operation(
        "A URL of the content, or with `delivery=proxied` the content itself.",
        {
            200: (record("Download", download_url=URL, expires_at=TIME, file_name=STRING), _BYTES),
            206: _BYTES,
            304: None,
        },
        query={"delivery": one_of("presigned", "proxied")},
        headers={"Range": STRING, "If-Range": STRING, "If-None-Match": STRING},
        errors=(*_FILE_ERRORS, "invalid_query", "range_not_satisfiable", "store_inconsistent"),
    ),
    **HEALTH,
}
