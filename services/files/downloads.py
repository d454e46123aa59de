"""Files sent through this service, streamed from the store in bounded memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from aiohttp import web

from services.files.disposition import attachment
from services.files.errors import store_fault, store_inconsistent, too_many_downloads
from services.files.model import Readable
from services.files.ranges import Wanted, http_date, wanted
from services.files.service.files import FileService
from services.kit.fair import FairPlaces
from services.kit.s3 import Download, StoreError
from services.kit.web.answers import Streamed


class Count(Protocol):
    """A counter of bytes."""

    def inc(self, amount: float) -> None: ...


class Downloads:
    """Sends the bytes of a file; ``sent_bytes`` counts them.

    Args:
        limit: files that are sent at once to one reader, as long as they are within a fair share of all
            ``places``. A reader may be as slow as he likes, and each of his downloads holds a place at the
            gateway and connections behind it.
    """

    def __init__(self, service: FileService, sent_bytes: Count, *, limit: int, places: int) -> None:
        self._service, self._sent_bytes, self._limit = service, sent_bytes, limit
        self._running = FairPlaces(places)

    async def send(self, request: web.Request, file: Readable, reader: UUID | None) -> web.StreamResponse:
        """200, 206 or 304; to HEAD the head that a GET of the whole file would get.

        Args:
            reader: None: anybody.

        Raises:
            Fault: ``rate_limited`` when this reader has as many downloads as he may.
            Fault: ``range_not_satisfiable``, ``file_not_found``, ``store_inconsistent``,
                ``dependency_unavailable``; the last one also out of the answer's source.
        """
        facts = file.summary
        head = request.method == "HEAD"
        asked = wanted(request.headers, facts.size_bytes, file.etag, facts.created_at, ranges=not head)
        if asked.fresh:
            return web.Response(status=304, headers=_validators(file))
        headers = _headers(file, asked)
        if head:
            await self._service.check(file, reader)
            return web.Response(headers=headers)
        leave = self._enter(reader)
        try:
            download = await self._service.open(file, reader, asked.byte_range)
        except BaseException:
            leave()
            raise

        def close() -> None:
            leave()
            download.close()

        try:
            if str(download.size_bytes) != headers["Content-Length"]:
                raise store_inconsistent()
            status = 206 if asked.byte_range else 200
            return Streamed(status, headers, self._source(download), close)
        except BaseException:
            close()
            raise

    def _enter(self, reader: UUID | None) -> Callable[[], None]:
        """What gives the place back, the first time it is called."""
        running = self._running
        files = running.held(reader)
        if files >= self._limit or not running.may_take(reader):
            raise too_many_downloads(files)
        running.take(reader)
        held = [reader]

        def leave() -> None:
            if held:
                running.give_back(held.pop())

        return leave

    def _source(self, download: Download) -> Callable[[], Awaitable[bytes]]:
        async def read() -> bytes:
            try:
                piece = await download.read()
            except StoreError as error:
                raise store_fault(error) from error
            self._sent_bytes.inc(len(piece))
            return piece

        return read


def _validators(file: Readable) -> dict[str, str]:
    headers = {"Last-Modified": http_date(file.summary.created_at), "Accept-Ranges": "bytes"}
    if file.etag:
        headers["ETag"] = file.etag
    return headers


def _headers(file: Readable, asked: Wanted) -> dict[str, str]:
    """All from the row: the store is held to it, so nothing it says can fail here."""
    size_bytes, part = file.summary.size_bytes, asked.byte_range
    headers = {
        **_validators(file),
        "Content-Type": file.summary.mime_type,
        "Content-Disposition": attachment(file.summary.name),
        "Content-Length": str(part.last - part.first + 1 if part else size_bytes),
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size_bytes}"
    return headers
