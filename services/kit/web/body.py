"""Request bodies: whole when small, streamed when not, never idle and never too slow for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from services.kit.codec import MAX_JSON_BYTES, decode
from services.kit.errors import Fault
from services.kit.patience import Ended, Patience
from services.kit.settings import ProcessSettings

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a client may send a body of any size.

    Only the time counts in which we wait for the client: a store that takes no bytes is not its fault.

    Args:
        idle_s: how long it may send nothing.
        least_bytes_per_s: what it has to send on average; 0: any rate will do.
        window_s: how long a time that average is of.
    """

    idle_s: float
    least_bytes_per_s: int
    window_s: float

    @classmethod
    def of(cls, settings: ProcessSettings) -> Pace:
        return cls(settings.body_idle_s, settings.body_min_bytes_per_s, settings.body_rate_window_s)


BODY_PACE = web.AppKey("BODY_PACE", Pace)


class BodyStalled(Exception):
    """The client sent nothing of its body, or too little, for too long."""


def timeout_fault() -> Fault:
    return Fault(
        "request_timeout", "The request body came too slowly or not at all.", headers={"Connection": "close"}
    )


def awaits_continue(request: web.BaseRequest) -> bool:
    """Whether the client holds its body back until it is asked for it."""
    return request.headers.get("Expect", "").lower() == "100-continue" and request.content.total_bytes == 0


class Arriving:
    """A request's body, read piece by piece."""

    __slots__ = (
        "_begun",
        "_chunked",
        "_content",
        "_counted_bytes",
        "_counted_s",
        "_judged_s",
        "_pace",
        "_patience",
        "_request",
    )

    def __init__(self, request: web.BaseRequest, pace: Pace) -> None:
        self._request, self._content = request, request.content
        self._pace, self._patience = pace, Patience(pace.idle_s)
        self._judged_s = pace.window_s  # of waiting, after which the rate is looked at
        self._counted_bytes, self._counted_s = 0, 0.0  # when it was looked at last
        self._begun = False
        self._chunked = request.content_length is None

    async def read(self) -> bytes:
        """What has arrived and was not read yet, ``b""`` at the end.

        Raises:
            BodyStalled: nothing came in time, or too little on average.
            web.RequestPayloadError: the body is not framed as its head says.
            ConnectionError: the client left.
        """
        patience = self._patience
        if not self._begun:
            self._begin()
        patience.begin()
        try:
            if self._chunked:
                data = await self._content.readany()
            else:
                data, _ = await self._content.readchunk()  # one buffer as it came: nothing is joined
        except asyncio.CancelledError:
            ended = patience.broken_off()
            if ended is Ended.TOO_LATE:
                raise BodyStalled from None
            if ended is Ended.NOT_NEEDED:
                return b""
            raise
        except OSError as error:  # also a connection that the kernel gave up
            raise ConnectionResetError(type(error).__name__) from error
        finally:
            patience.end()
        if patience.waited_s >= self._judged_s:
            self._judge()
        return data

    def _judge(self) -> None:
        """Whether the client kept the least rate since this was asked before."""
        pace, content, waited_s = self._pace, self._content, self._patience.waited_s
        came_bytes = content.total_bytes - self._counted_bytes
        if came_bytes < pace.least_bytes_per_s * (waited_s - self._counted_s) and not content.is_eof():
            raise BodyStalled
        self._counted_bytes, self._counted_s = content.total_bytes, waited_s
        self._judged_s = waited_s + pace.window_s

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


async def pieces(request: web.BaseRequest, pace: Pace) -> AsyncGenerator[bytes, None]:
    """The body as it arrives.

    Raises:
        Fault: ``request_timeout`` when it arrives too slowly.
        ConnectionError: the client left.
    """
    body = Arriving(request, pace)
    try:
        while data := await body.read():
            yield data
            del data  # nothing is kept while the next piece is waited for
    except BodyStalled as error:
        raise timeout_fault() from error
    finally:
        body.close()


async def small(request: web.BaseRequest, pace: Pace, maximum: int = MAX_JSON_BYTES) -> bytes:
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
        async with aclosing(pieces(request, pace)) as body:
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
    value: object = decode(await small(request, request.app[BODY_PACE]))
    return value
