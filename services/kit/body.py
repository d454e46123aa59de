"""Request bodies: whole when small, streamed when not, never idle for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from services.kit.codec import MAX_JSON_BYTES, decode
from services.kit.errors import Fault


class BodyIdleError(Exception):
    """The client sent nothing for too long."""


class _Progress:
    """One lazy timer per body: re-armed when it fires, not on every piece."""

    def __init__(self, request: web.BaseRequest, idle_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._content = request.content
        self._idle_s = idle_s
        self.touched_at = self._loop.time()
        self.waiting = True  # for the client; while we are busy with a piece it is not to blame
        self._timer = self._loop.call_later(idle_s, self._check)

    def _check(self) -> None:
        since = self.touched_at if self.waiting else self._loop.time()
        left_s = since + self._idle_s - self._loop.time()
        if left_s <= 0:
            self._content.set_exception(BodyIdleError())
        else:
            self._timer = self._loop.call_later(left_s, self._check)

    def touch(self) -> None:
        """We turn to the client again."""
        self.touched_at, self.waiting = self._loop.time(), True

    def stop(self) -> None:
        self._timer.cancel()


def timeout_fault() -> Fault:
    return Fault("request_timeout", "The request body made no progress.", headers={"Connection": "close"})


async def pieces(request: web.BaseRequest, idle_s: float) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, in pieces of at most the read buffer's size.

    Raises:
        Fault: ``request_timeout`` when nothing arrives for ``idle_s``.
        ConnectionError: the client left.
    """
    progress = _Progress(request, idle_s)
    held = False
    try:
        while data := await request.content.readany():
            progress.waiting = False
            held = _hold(request)
            yield data
            del data  # nothing is kept while the next piece is waited for
            if held:
                request.protocol.resume_reading()
                held = False
            progress.touch()
    except BodyIdleError as error:
        raise timeout_fault() from error
    finally:
        progress.stop()
        if held:
            request.protocol.resume_reading()


def _hold(request: web.BaseRequest) -> bool:
    """Leave what comes next in the kernel until this piece is dealt with: a quarter of a megabyte less
    per body that waits for a slow receiver."""
    transport = request.transport
    if transport is None or transport.is_closing() or request.content.at_eof():
        return False
    transport.pause_reading()
    return True


async def small(request: web.BaseRequest, idle_s: float, maximum: int = MAX_JSON_BYTES) -> bytes:
    """The whole body, at most ``maximum`` bytes.

    Raises:
        Fault: ``body_too_large``, ``unsupported_media_type`` or ``request_timeout``.
    """
    refuse_encoding(request)
    too_large = Fault("body_too_large", f"The body may hold at most {maximum} bytes.")
    if request.content_length is not None and request.content_length > maximum:
        raise too_large
    if not request.can_read_body:
        return b""
    received = bytearray()
    async for piece in pieces(request, idle_s):
        received += piece
        if len(received) > maximum:
            raise too_large
    return bytes(received)


def refuse_encoding(request: web.BaseRequest) -> None:
    """A body is taken as it is: any coding but ``identity`` is 415."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise Fault("unsupported_media_type", "A Content-Encoding is not supported.")


async def json_value(request: web.BaseRequest, idle_s: float) -> object:
    """The body as one JSON value; see ``codec.decode`` for what is refused."""
    value: object = decode(await small(request, idle_s))
    return value
