"""Client of another service: one kept-alive pool per address, typed failures, streamed bodies.

A request is sent again only by the rule below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic, perf_counter
from typing import Self

from services.kit.client import Address, Call, Client, Exchange, UpstreamBroken, UpstreamError
from services.kit.metrics import UpstreamMetrics
from services.kit.trail import TRAIL
from services.kit.upstream.exchange import STALL_S, Body, Incoming, Reply, pump, result_of, result_of_error

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
        self._metrics = metrics
        self._retries = _Retries(now)
        opened = metrics.opened(name).inc
        self._client = Client(Address.of(url, limit=pool, idle_s=KEEPALIVE_S, opened=opened))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def json(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """One small request and its whole answer within ``timeout_s``; any status is an answer.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamTimeout: there was no answer.
        """
        started = perf_counter()
        self.running += 1
        result = ""
        try:
            answer = await self._whole(Call(method, path, headers), body, timeout_s, None)
            try:
                reply = Reply(answer.status, answer.headers, await answer.read())
            finally:
                answer.close()
            result = result_of(reply.status)
        except UpstreamError as error:
            result = result_of_error(error)
            raise
        finally:
            self._finish(started, result)
        return reply

    async def open(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
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
            stall_s: how long the other side may take nothing of a streamed body, or give nothing of its
                answer's.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamTimeout: there was no answer.
            Exception: whatever the source of the body raised.
        """
        started = perf_counter()
        self.running += 1
        try:
            if isinstance(body, Body):
                answer = await self._stream(Call(method, target, headers), body, timeout_s, stall_s)
            else:
                answer = await self._whole(Call(method, target, headers), body, timeout_s, stall_s)
        except BaseException as error:
            self._finish(started, result_of_error(error) if isinstance(error, UpstreamError) else "")
            raise
        return Incoming(answer, self._finish, started)

    def _finish(self, started: float, result: str) -> None:
        """``result`` is empty where the other side has no part in the end."""
        self.running -= 1
        if result:
            seconds = perf_counter() - started
            self._metrics.seconds(self.name, result).observe(seconds)
            TRAIL.get().upstream(seconds)

    async def _whole(self, call: Call, body: bytes, timeout_s: float, piece_s: float | None) -> Exchange:
        self._retries.request()
        until = perf_counter() + timeout_s
        try:
            return await self._client.send(call, body, timeout_s=timeout_s, piece_s=piece_s)
        except UpstreamBroken:
            if call.method not in _REPEATABLE or not self._retries.allowed():
                raise
        self._metrics.retries(self.name).inc()
        left_s = max(0.0, until - perf_counter())
        return await self._client.send(call, body, timeout_s=left_s, piece_s=piece_s, fresh=True)

    async def _stream(self, call: Call, body: Body, timeout_s: float, stall_s: float) -> Exchange:
        self._retries.request()
        sending = await self._client.open(call, body.length, timeout_s=stall_s)
        try:
            await pump(body, sending, stall_s)
            return await sending.answer(timeout_s, stall_s)
        except BaseException:
            sending.abort()
            raise
        finally:
            body.source.close()
