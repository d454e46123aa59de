"""Client of another service: one kept-alive pool and breaker per address, typed failures, streamed bodies.

A GET or HEAD whose connection broke before one byte of an answer is sent a second time, on a new
connection, while such repetitions of the last 10 s are at most a tenth of the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic, perf_counter
from typing import Self

from services.kit.client import (
    Address,
    Call,
    Client,
    Exchange,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
)
from services.kit.deadline import left_s
from services.kit.metrics import UpstreamMetrics
from services.kit.trail import TRAIL, nobody
from services.kit.upstream.breaker import Guard, State, Unguarded
from services.kit.upstream.exchange import (
    STALL_S,
    Begun,
    Body,
    Incoming,
    Reply,
    pump,
    result_of,
    result_of_error,
)
from services.kit.upstream.window import Window

POOL = 512
KEEPALIVE_S = 60.0  # less than a server's 75 s, so that the client closes idle connections
RETRY_SHARE = 0.10
PROBE_S = 1.0  # between two questions for the life of a side that is left alone
_REPEATABLE = frozenset({"GET", "HEAD"})
_UNCOUNTED = Unguarded()


class Upstream:
    """One address of another service. ``running`` is the number of exchanges not yet closed.

    Args:
        guard: its breaker; left out, everything passes.
        probe_s: seconds between two questions for the life of a side whose breaker is open.
    """

    def __init__(
        self,
        name: str,
        url: str,
        metrics: UpstreamMetrics,
        *,
        pool: int = POOL,
        now: Callable[[], float] = monotonic,
        guard: Guard | None = None,
        probe_s: float = PROBE_S,
    ) -> None:
        self.name = name
        self.running = 0
        self._metrics = metrics
        self._repeated = Window(now)
        self.guard: Guard = guard or _UNCOUNTED
        self.guard.watch(self._moved)
        if guard is not None:
            metrics.watch_breaker(name, lambda: guard.state)
        self._probe_s = probe_s
        self._probe: asyncio.Task[None] | None = None
        opened = metrics.opened(name).inc
        self._client = Client(Address.of(url, limit=pool, idle_s=KEEPALIVE_S, opened=opened))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
        await self._client.close()

    async def alive(self, timeout_s: float) -> bool:
        """Whether it answers ``/live``, and will go on to; asked past the breaker."""
        try:
            reply = await self.json("GET", "/live", b"", {}, timeout_s, counted=False)
        except UpstreamError:
            return False
        return reply.status == 200 and reply.headers.get("Connection", "").lower() != "close"

    def _moved(self, state: State) -> None:
        self._metrics.transitions(self.name, state.name.lower()).inc()
        if state is State.OPEN and self.guard.probes and (self._probe is None or self._probe.done()):
            loop = asyncio.get_running_loop()
            self._probe = loop.create_task(self._until_alive(), context=nobody())

    async def _until_alive(self) -> None:
        while self.guard.state is State.OPEN:
            await asyncio.sleep(self._probe_s)
            if self.guard.state is State.OPEN and await self.alive(self._probe_s):
                self.guard.end_open()

    async def json(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        counted: bool = True,
    ) -> Reply:
        """One small request and its whole answer within ``timeout_s``, or what is left of the time of the
        request that it is made for; any status is an answer.

        Args:
            counted: by the breaker, which may refuse it.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamTimeout: there was no answer.
            CircuitOpen: it was not sent.
        """
        timeout_s = left_s(timeout_s)
        if not timeout_s:
            raise UpstreamTimeout("no time is left")
        begun = self._begin(counted=counted)
        try:
            answer = await self._whole(Call(method, path, headers), body, timeout_s, None)
            try:
                reply = Reply(answer.status, answer.headers, await answer.read())
            finally:
                answer.close()
        except BaseException as error:
            self._fail(begun, error)
            raise
        begun.answered(reply.status, reply.headers)
        self._finish(begun, result_of(reply.status))
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
        counted: bool = True,
    ) -> Incoming:
        """Send a request; returns as soon as the head of the answer is here, also while a streamed
        body is still being sent (then sending stops and the connection is not used again).

        Args:
            target: path and query, already encoded; sent as it is.
            timeout_s: from the end of the request body to the head of the answer.
            stall_s: how long the other side may take nothing of a streamed body, or give nothing of its
                answer's.
            counted: by the breaker, which may refuse it.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamTimeout: there was no answer.
            CircuitOpen: it was not sent.
            Exception: whatever the source of the body raised.
        """
        begun = self._begin(counted=counted)
        try:
            if isinstance(body, Body):
                answer = await self._stream(Call(method, target, headers), body, timeout_s, stall_s)
            else:
                answer = await self._whole(Call(method, target, headers), body, timeout_s, stall_s)
        except BaseException as error:
            self._fail(begun, error)
            raise
        begun.answered(answer.status, answer.headers)
        return Incoming(answer, self._finish, begun)

    def _begin(self, *, counted: bool) -> Begun:
        guard = self.guard if counted else _UNCOUNTED
        permit = guard.admit()
        self.running += 1
        return Begun(perf_counter(), guard, permit)

    def _fail(self, begun: Begun, error: BaseException) -> None:
        if isinstance(error, UpstreamError):
            begun.guard.failed(begun.permit)
            self._finish(begun, result_of_error(error))
        else:  # the client left, or its body was at fault
            begun.guard.dropped(begun.permit)
            self._finish(begun, "")

    def _finish(self, begun: Begun, result: str) -> None:
        """``result`` is empty where the other side has no part in the end."""
        self.running -= 1
        if result:
            seconds = perf_counter() - begun.started
            self._metrics.seconds(self.name, result).observe(seconds)
            TRAIL.get().upstream(seconds)

    async def _whole(self, call: Call, body: bytes, timeout_s: float, piece_s: float | None) -> Exchange:
        self._repeated.add()
        until = perf_counter() + timeout_s
        try:
            return await self._client.send(call, body, timeout_s=timeout_s, piece_s=piece_s)
        except UpstreamBroken as error:
            rest_s = until - perf_counter()
            if not (error.silent and call.method in _REPEATABLE and rest_s > 0 and self._may_repeat()):
                raise
        self._metrics.retries(self.name).inc()
        return await self._client.send(call, body, timeout_s=rest_s, piece_s=piece_s, fresh=True)

    def _may_repeat(self) -> bool:
        window = self._repeated
        window.add(0)
        if window.marked > RETRY_SHARE * window.requests:
            return False
        window.add(0, 1)
        return True

    async def _stream(self, call: Call, body: Body, timeout_s: float, stall_s: float) -> Exchange:
        self._repeated.add()
        sending = await self._client.open(call, body.length, timeout_s=stall_s)
        try:
            await pump(body, sending, stall_s)
            return await sending.answer(timeout_s, stall_s)
        except BaseException:
            sending.abort()
            raise
        finally:
            body.source.close()
