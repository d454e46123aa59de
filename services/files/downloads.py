"""Files sent through this service, streamed from the store in bounded memory."""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import web

from services.files.disposition import attachment
from services.files.errors import store_fault
from services.files.model import Readable
from services.files.ranges import Wanted, http_date, wanted
from services.files.service import FileService
from services.kit.s3 import Download, StoreError
from services.kit.web import REQUEST_ID


class Count(Protocol):
    """A counter of bytes."""

    def inc(self, amount: float) -> None: ...


class Downloads:
    """Args:
    stall_s: a reader that takes nothing for so long loses its connection.
    """

    def __init__(self, service: FileService, sent_bytes: Count, stall_s: float) -> None:
        self._service, self._sent_bytes, self._stall_s = service, sent_bytes, stall_s

    async def send(self, request: web.Request, file: Readable) -> web.StreamResponse:
        """200, 206 or 304.

        Raises:
            Fault: ``range_not_satisfiable``, ``store_inconsistent``, ``dependency_unavailable``; the last
                one also after a part was sent, with the connection closed.
        """
        facts = file.summary
        asked = wanted(request.headers, facts.size_bytes, file.etag, facts.created_at)
        if asked.fresh:
            return web.Response(status=304, headers=_validators(file))
        try:
            async with self._service.open(file, asked.byte_range) as download:
                return await self._stream(request, _head(request, file, asked, download), download)
        except StoreError as error:
            if request.transport is not None and request.get(STARTED, False):
                request.transport.abort()  # a short body must never look like a whole one
            raise store_fault(error) from error

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, download: Download
    ) -> web.StreamResponse:
        try:
            await response.prepare(request)
            request[STARTED] = True
            if request.method == "HEAD":
                return response
            async for piece in download.pieces():
                async with asyncio.timeout(self._stall_s):
                    await response.write(piece)
                self._sent_bytes.inc(len(piece))
            await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # the reader left; the boundary sees the closed connection and counts it so
        return response


STARTED: web.RequestKey[bool] = web.RequestKey("download_started", bool)


def _validators(file: Readable) -> dict[str, str]:
    headers = {"Last-Modified": http_date(file.summary.created_at), "Accept-Ranges": "bytes"}
    if file.etag:
        headers["ETag"] = file.etag
    return headers


def _head(request: web.Request, file: Readable, asked: Wanted, download: Download) -> web.StreamResponse:
    headers = {
        **_validators(file),
        "Content-Type": file.summary.mime_type,
        "Content-Disposition": attachment(file.summary.name),
        "X-Request-Id": request[REQUEST_ID],
    }
    if asked.byte_range is not None:
        first, last = asked.byte_range.first, asked.byte_range.last
        headers["Content-Range"] = f"bytes {first}-{last}/{file.summary.size_bytes}"
    response = web.StreamResponse(status=206 if asked.byte_range else 200, headers=headers)
    response.content_length = download.size_bytes
    return response
