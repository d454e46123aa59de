"""Client of another service: one kept-alive pool per address, typed failures, streamed bodies.

URLs are taken as they are and redirects are answers. A request is sent again only by the rule below. A
deadline is one timer that cancels the waiting task, not a context per request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic, perf_counter
from typing import Self

from aiohttp import ClientResponse
from multidict import CIMultiDict
from yarl import URL

from services.kit.exchange import (
    STALL_S,
    Body,
    BodyStalled,
    Call,
    Guard,
    Incoming,
    Reply,
    Streamed,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from services.kit.metrics import UpstreamMetrics
from services.kit.outgoing import Connector, send
from services.kit.trail import TRAIL

__all__ = [
    "Body",
    "BodyStalled",
    "Incoming",
    "Reply",
    "Upstream",
    "UpstreamBroken",
    "UpstreamError",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]

POOL = 512
KEEPALIVE_S = 60.0  # less than a server's 75 s, so that the client closes idle connections
RETRY_WINDOW_S = 10.0
RETRY_SHARE = 0.10
_REPEATABLE = frozenset({"GET", "HEAD"})


class _Retries:
    """Allows a repetition while those of the last 10 s are at most a tenth of the requests."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seconds: deque[list[int]] = deque()  # [second, requests, retries]
        self._requests = self._retries = 0

    def _bucket(self) -> list[int]:
        second = int(self._now())
        seconds = self._seconds
        if not seconds or seconds[-1][0] != second:
            seconds.append([second, 0, 0])
            while seconds[0][0] <= second - RETRY_WINDOW_S:
                _, requests, retries = seconds.popleft()
                self._requests -= requests
                self._retries -= retries
        return seconds[-1]

    def request(self) -> None:
        self._bucket()[1] += 1
        self._requests += 1

    def allowed(self) -> bool:
        bucket = self._bucket()
        if self._retries > RETRY_SHARE * self._requests:
            return False
        bucket[2] += 1
        self._retries += 1
        return True


class Upstream:
    """One address of another service. ``running`` is the number of exchanges not yet closed."""

    def __init__(
        self,
        name: str,
        url: str,
        metrics: UpstreamMetrics,
        *,
        pool: int = POOL,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.name = name
        self.running = 0
        self._url = url.rstrip("/")
        self._metrics = metrics
        self._retries = _Retries(now)
        self._host = URL(self._url).host_port_subcomponent or ""
        opened = metrics.opened(name).inc
        self._kept = Connector(opened, limit=pool, keepalive_timeout=KEEPALIVE_S)
        self._fresh = Connector(opened, limit=pool, force_close=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kept.close()
        await self._fresh.close()

    async def json(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """One small request and its whole answer within ``timeout_s``; any status is an answer.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamTimeout: there was no answer.
        """
        guard = Guard()
        incoming: Incoming | None = None
        try:
            incoming = await self._open(
                guard, self._call(method, path, CIMultiDict(headers), body, timeout_s)
            )
            return Reply(incoming.status, incoming.headers, await incoming.read())
        except asyncio.CancelledError:
            guard.translate()
            raise
        finally:
            guard.stop()
            if incoming is not None:
                incoming.close("timeout" if guard.cause else "")

    async def open(
        self,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        body: bytes | Body = b"",
        *,
        timeout_s: float,
        stall_s: float = STALL_S,
    ) -> Incoming:
        """Send a request; returns as soon as the head of the answer is here, also while a streamed
        body is still being sent (then sending stops and the connection is not used again).

        Args:
            target: path and query, already encoded; sent as it is.
            timeout_s: from the end of the request body to the head of the answer.
            stall_s: how long a streamed body may make no progress.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamTimeout: there was no answer.
            BodyStalled: the source of the body gave nothing for ``stall_s``.
            Exception: whatever ``body.read`` raised.
        """
        guard = Guard()
        try:
            return await self._open(guard, self._call(method, target, headers, body, timeout_s, stall_s))
        finally:
            guard.stop()

    def _call(
        self,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        body: bytes | Body,
        *limits_s: float,
    ) -> Call:
        headers["Host"] = self._host
        return Call(method, URL(self._url + target, encoded=True), headers, body, *limits_s)

    async def _open(self, guard: Guard, call: Call) -> Incoming:
        started = perf_counter()
        self.running += 1
        try:
            response = await self._answer(guard, call)
        except BaseException as error:
            self.running -= 1
            if isinstance(error, UpstreamError):
                self._observe(started, "timeout" if isinstance(error, UpstreamTimeout) else "transport")
            raise
        return Incoming(response, lambda result: self._finish(started, result))

    def _finish(self, started: float, result: str) -> None:
        self.running -= 1
        self._observe(started, result)

    def _observe(self, started: float, result: str) -> None:
        seconds = perf_counter() - started
        self._metrics.seconds(self.name, result).observe(seconds)
        TRAIL.get().upstream(seconds)

    async def _answer(self, guard: Guard, call: Call) -> ClientResponse:
        self._retries.request()
        try:
            if isinstance(call.body, Body):
                return await self._stream(guard, call, call.body)
            guard.deadline(call.timeout_s)
            return await self._whole(call, call.body or None)
        except asyncio.CancelledError:
            guard.translate()
            raise

    async def _whole(self, call: Call, body: bytes | None) -> ClientResponse:
        try:
            return await send(self._kept, call, body)
        except UpstreamBroken:
            if call.method not in _REPEATABLE or not self._retries.allowed():
                raise
        self._metrics.retries(self.name).inc()
        return await send(self._fresh, call, body)

    async def _stream(self, guard: Guard, call: Call, body: Body) -> ClientResponse:
        source = Streamed(body, guard, call.timeout_s)
        call.headers["Content-Length"] = str(body.length)
        guard.watch(
            call.stall_s,
            reading=BodyStalled("the body made no progress"),
            writing=UpstreamTimeout("the other side takes no bytes"),
        )
        try:
            response = await send(self._kept, call, source)
        except UpstreamBroken as error:
            if source.error is not None:
                raise source.error from error
            raise
        source.answered = True
        return response
