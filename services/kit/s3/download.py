"""A streamed GET."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from email.utils import parsedate_to_datetime

from services.kit.http.client import Answer, Call, UpstreamError
from services.kit.s3.errors import transport_error
from services.kit.s3.model import ObjectInfo
from services.kit.s3.transport import Transport

OP = "get_object"
_META = "x-amz-meta-"


def _moment(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def object_info(headers: Mapping[str, str]) -> ObjectInfo:
    """From the headers of a GET or HEAD; the whole object's size where a range was answered."""
    whole = headers.get("Content-Range", "").rpartition("/")[2]
    size = whole if whole.isdigit() else headers.get("Content-Length", "0")
    lowered = {name.lower(): value for name, value in headers.items()}
    return ObjectInfo(
        size_bytes=int(size),
        etag=headers.get("ETag", ""),
        content_type=headers.get("Content-Type", ""),
        last_modified=_moment(headers.get("Last-Modified")),
        meta={name.removeprefix(_META): value for name, value in lowered.items() if name.startswith(_META)},
    )


class StreamedDownload:
    """The answer behind ``get``; see ``model.Download``."""

    def __init__(self, response: Answer, stack: AsyncExitStack) -> None:
        self._response, self._stack = response, stack
        self.info = object_info(response.headers)

    @classmethod
    async def open(cls, transport: Transport, signed: Call) -> StreamedDownload:
        stack = AsyncExitStack()
        return cls(await stack.enter_async_context(transport.open(OP, signed)), stack)

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def size_bytes(self) -> int:
        return int(self._response.headers.get("Content-Length", "0"))

    @property
    def content_range(self) -> str | None:
        return self._response.headers.get("Content-Range")

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._response.read_some():
                yield data
        except UpstreamError as error:
            raise transport_error(OP) from error

    async def close(self) -> None:
        await self._stack.aclose()
