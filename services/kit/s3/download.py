"""A streamed GET."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from services.kit.client import Exchange, UpstreamError
from services.kit.s3.errors import transport_error
from services.kit.s3.model import ObjectInfo

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


class Download:
    """An open GET: facts first, then the bytes; whoever opened it closes it."""

    def __init__(self, answer: Exchange) -> None:
        self._answer = answer
        self.info = object_info(
            answer.headers
        )  # ``size_bytes`` is the whole object's where the store says it

    @property
    def status(self) -> int:
        """200, or 206 when a range was asked for."""
        return self._answer.status

    @property
    def size_bytes(self) -> int:
        """Bytes that this answer carries: the range's, not the object's."""
        return int(self._answer.headers.get("Content-Length", "0"))

    async def read(self) -> bytes:
        """The next piece as it arrives, ``b""`` at the end; at most 64 KiB are held.

        Raises:
            UnavailableError: the store broke off or made no progress.
        """
        try:
            return await self._answer.read_some()
        except UpstreamError as error:
            raise transport_error(OP) from error

    async def pieces(self) -> AsyncIterator[bytes]:
        """What ``read`` gives, until the end."""
        while data := await self.read():
            yield data

    def close(self) -> None:
        """Idempotent."""
        self._answer.close()
