"""Request bodies: whole when small, streamed when not, never idle for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from services.kit.codec import MAX_JSON_BYTES, decode
from services.kit.errors import Fault
from services.kit.patience import Ended, Patience

BODY_IDLE_S = web.AppKey("BODY_IDLE_S", float)  # how long a client may send nothing of a body
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyStalled(Exception):
    """The client sent nothing of its body for too long."""


def timeout_fault() -> Fault:
    return Fault("request_timeout", "The request body made no progress.", headers={"Connection": "close"})


def awaits_continue(request: web.BaseRequest) -> bool:
    """Whether the client holds its body back until it is asked for it."""
    return request.headers.get("Expect", "").lower() == "100-continue" and request.content.total_bytes == 0


class Arriving:
    """A request's body, read piece by piece.

    Args:
        idle_s: how long the client may send nothing.
    """

    __slots__ = ("_begun", "_chunked", "_content", "_patience", "_request")

    def __init__(self, request: web.BaseRequest, idle_s: float) -> None:
        self._request, self._content = request, request.content
        self._patience = Patience(idle_s)
        self._begun = False
        self._chunked = request.content_length is None

    async def read(self) -> bytes:
        """What has arrived and was not read yet, ``b""`` at the end.

        Raises:
            BodyStalled: nothing came in time.
            web.RequestPayloadError: the body is not framed as its head says.
            ConnectionError: the client left.
        """
        patience = self._patience
        if not self._begun:
            self._begin()
        patience.begin()
        try:
            if self._chunked:
                return await self._content.readany()
            return (await self._content.readchunk())[0]  # one buffer as it came: nothing is joined
        except asyncio.CancelledError:
            match patience.broken_off():
                case Ended.TOO_LATE:
                    raise BodyStalled from None
                case Ended.NOT_NEEDED:
                    return b""
                case None:
                    raise
        except OSError as error:  # also a connection that the kernel gave up
            raise ConnectionResetError(type(error).__name__) from error
        finally:
            patience.end()

    def _begin(self) -> None:
        self._begun = True
        request = self._request
        if awaits_continue(request) and request.transport is not None:
            request.transport.write(CONTINUE)

    def interrupt(self) -> None:
        """A read that waits returns ``b""`` now: nobody needs the rest."""
        self._patience.interrupt()

    def close(self) -> None:
        """Nothing more is read."""
        self._patience.close()


async def pieces(request: web.BaseRequest, idle_s: float) -> AsyncGenerator[bytes, None]:
    """The body as it arrives.

    Raises:
        Fault: ``request_timeout`` when nothing arrives for ``idle_s``.
        ConnectionError: the client left.
    """
    body = Arriving(request, idle_s)
    try:
        while data := await body.read():
            yield data
            del data  # nothing is kept while the next piece is waited for
    except BodyStalled as error:
        raise timeout_fault() from error
    finally:
        body.close()


async def small(request: web.BaseRequest, idle_s: float, maximum: int = MAX_JSON_BYTES) -> bytes:
    """The whole body, at most ``maximum`` bytes.

    Raises:
        Fault: ``body_too_large``, ``unsupported_media_type`` or ``request_timeout``.
    """
    refuse_encoding(request)
    length, content = request.content_length, request.content
    if length is not None and length > maximum:
        raise _too_large(maximum)
    if content.at_eof():
        return b""
    if content.is_eof():  # all of it is here: the usual case
        received = await content.readany()
    else:
        received = b""
        async with aclosing(pieces(request, idle_s)) as body:
            async for piece in body:
                received = received + piece if received else piece
                if len(received) > maximum or len(received) == length:
                    break
    if len(received) > maximum:
        raise _too_large(maximum)
    return received


def _too_large(maximum: int) -> Fault:
    return Fault("body_too_large", f"The body may hold at most {maximum} bytes.")


def refuse_encoding(request: web.BaseRequest) -> None:
    """A body is taken as it is: any coding but ``identity`` is 415."""
    coding = request.headers.get("Content-Encoding")
    if coding is not None and coding.strip().lower() not in {"", "identity"}:
        raise Fault("unsupported_media_type", "A Content-Encoding is not supported.")


async def json_value(request: web.Request) -> object:
    """The body as one JSON value; see ``codec.decode`` for what is refused."""
    value: object = decode(await small(request, request.app[BODY_IDLE_S]))
    return value
