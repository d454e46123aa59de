"""HTTP of many files at once: folders and batches of links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from aiohttp import web

from services.files import views
from services.files.errors import file_not_found, invalid_folder
from services.files.handlers.parts import SERVICES
from services.files.model import Link
from services.files.parameters import folder, folder_query
from services.kit.codec import Members, is_uuid, parse_uuid
from services.kit.errors import Fault
from services.kit.web.answers import json_response
from services.kit.web.app import Handler, user_of
from services.kit.web.body import json_value

MAX_BATCH = 100


async def list_folders(request: web.Request) -> web.Response:
    query = folder_query(request.query)
    page = await request.app[SERVICES].folders.page(query, user_of(request))
    return json_response(views.folders(query, page))


async def delete_folder(request: web.Request) -> web.Response:
    prefix = folder(_prefix(request))
    deleted = await request.app[SERVICES].folders.delete(prefix, user_of(request))
    return json_response({"prefix": prefix, "deleted": deleted})


def _prefix(request: web.Request) -> str:
    """What the path names, from its raw form: only there an escape that is no UTF-8 can be seen."""
    raw = request.raw_path.partition("?")[0].split("/", 2)[2]
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        raise invalid_folder("The folder is not in UTF-8.") from error


async def batch_download(request: web.Request) -> web.Response:
    services, user_id = request.app[SERVICES], user_of(request)
    given = _file_ids(Members(await json_value(request), known=frozenset({"file_ids"})))
    links = await services.files.links([UUID(text) for text in given if is_uuid(text)], user_id)
    results = [{"index": index, **_entry(text, links)} for index, text in enumerate(given)]
    succeeded = sum(result["success"] for result in results)
    services.batch_files("download", "ok").inc(succeeded)
    services.batch_files("download", "failed").inc(len(results) - succeeded)
    return json_response({"results": results, "succeeded": succeeded, "failed": len(results) - succeeded})


def _file_ids(members: Members) -> list[str]:
    given = members.array("file_ids")
    if len(given) > MAX_BATCH or not all(isinstance(one, str) for one in given):
        raise Members.fault("file_ids", f"1 to {MAX_BATCH} strings")
    return given


def _entry(text: str, links: Mapping[UUID, tuple[Link, str]]) -> dict[str, Any]:
    try:
        file_id = parse_uuid(text, "The file id")
        if file_id not in links:
            raise file_not_found()
    except Fault as fault:
        return {"file_id": text, "success": False, "error": fault.code, "message": fault.message}
    return {"file_id": file_id, "success": True, **views.link(*links[file_id])}


HANDLERS: Mapping[str, Handler] = {
    "list_folders": list_folders,
    "delete_folder": delete_folder,
    "batch_download": batch_download,
}
