"""Files sent through this service, streamed from the store in bounded memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from services.files.disposition import attachment
from services.files.errors import store_fault
from services.files.model import Readable
from services.files.ranges import Wanted, http_date, wanted
from services.files.service import FileService
from services.kit.http.message import Request, Response
from services.kit.s3 import Download, StoreError


class Count(Protocol):
    """A counter of bytes."""

    def inc(self, amount: float) -> None: ...


class Downloads:
    """Sends the bytes of a file; ``sent_bytes`` counts them."""

    def __init__(self, service: FileService, sent_bytes: Count) -> None:
        self._service, self._sent_bytes = service, sent_bytes

    async def send(self, request: Request, file: Readable) -> Response | None:
        """200, 206 or 304; None when the answer was sent from here, while the store was read.

        Raises:
            Fault: ``range_not_satisfiable``, ``store_inconsistent``, ``dependency_unavailable``; the last
                one also after a part was sent.
        """
        facts = file.summary
        asked = wanted(request.headers, facts.size_bytes, file.etag, facts.created_at)
        if asked.fresh:
            return Response(304, _validators(file))
        try:
            async with self._service.open(file, asked.byte_range) as download:
                await request.respond(_response(request, file, asked, download, self._source(download)))
        except StoreError as error:
            raise store_fault(error) from error
        return None

    def _source(self, download: Download) -> Callable[[], Awaitable[bytes]]:
        pieces = aiter(download.pieces())

        async def read() -> bytes:
            piece = await anext(pieces, b"")
            self._sent_bytes.inc(len(piece))
            return piece

        return read


def _validators(file: Readable) -> dict[str, str]:
    headers = {"Last-Modified": http_date(file.summary.created_at), "Accept-Ranges": "bytes"}
    if file.etag:
        headers["ETag"] = file.etag
    return headers


def _response(
    request: Request,
    file: Readable,
    asked: Wanted,
    download: Download,
    source: Callable[[], Awaitable[bytes]],
) -> Response:
    headers = {
        **_validators(file),
        "Content-Type": file.summary.mime_type,
        "Content-Disposition": attachment(file.summary.name),
        "Content-Length": str(download.size_bytes),
        "X-Request-Id": request.request_id,
    }
    if asked.byte_range is not None:
        first, last = asked.byte_range.first, asked.byte_range.last
        headers["Content-Range"] = f"bytes {first}-{last}/{file.summary.size_bytes}"
    return Response(206 if asked.byte_range else 200, headers, stream=source)
