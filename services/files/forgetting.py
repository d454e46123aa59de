"""What was read of a file is forgotten with every request that may change it, whether or not it succeeds."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from services.files.model import Readable
from services.kit.cache import Cache
from services.kit.web.app import Handler

ROWS: web.AppKey[Cache[Readable]] = web.AppKey("ROWS", Cache)
_READS = ("GET", "HEAD")


def subject_of(file_id: UUID) -> str:
    return str(file_id)


@web.middleware
async def forget_changed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """By method and path, so that no route can be forgotten here; a request too many costs one row.

    The answer goes out after it: who has it, sees the change.
    """
    named = request.match_info
    if request.method in _READS or not {"file_id", "prefix"} & named.keys():
        return await handler(request)
    try:
        return await handler(request)
    finally:
        rows = request.app[ROWS]
        if "file_id" in named:
            await rows.forget(named["file_id"].lower())  # the only other spelling that is accepted
        else:
            await rows.forget_all()  # of a folder
