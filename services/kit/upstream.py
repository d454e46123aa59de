"""Client of another service: one kept-alive pool per address, typed failures, streamed bodies.

The library is aiohttp's client in its tuned form: no cookies, no automatic headers, no decoding, no
redirects, URLs taken as they are, and no repetition of its own (a request is sent again only by the
rule below). A deadline is one timer that cancels the waiting task, not a context per request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic, perf_counter
from typing import Any, Self

from aiohttp import (
    ClientError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.client_exceptions import ClientConnectorError
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.payload import Payload
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
CONNECT_S = 2.0
READ_BUFFER_BYTES = 65_536
RETRY_WINDOW_S = 10.0
RETRY_SHARE = 0.10
_AUTOMATIC_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
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


class _Connector(TCPConnector):
    """Counts connections where they are made: a trace would cost every request for that one number."""

    def __init__(self, opened: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._opened = opened

    async def _create_connection(self, req: ClientRequest, traces: Any, timeout: ClientTimeout) -> Any:  # noqa: ASYNC109
        protocol = await super()._create_connection(req, traces, timeout)
        self._opened()
        return protocol


async def _typed(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Turn the library's failures into ours, below the place where it would repeat a request."""
    try:
        return await handler(request)
    except (ClientConnectorError, ConnectionTimeoutError) as error:
        raise UpstreamUnreachable(type(error).__name__) from error
    except (ClientError, OSError) as error:
        raise UpstreamBroken(type(error).__name__) from error


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
        self._session = self._open_session(limit=pool, keepalive_timeout=KEEPALIVE_S)
        self._fresh = self._open_session(limit=pool, force_close=True)

    def _open_session(self, **options: Any) -> ClientSession:
        return ClientSession(
            connector=_Connector(self._metrics.opened(self.name).inc, **options),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTOMATIC_HEADERS,
            timeout=ClientTimeout(total=None, sock_connect=CONNECT_S),
            read_bufsize=READ_BUFFER_BYTES,
            middlewares=(_typed,),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
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
        self._metrics.seconds(self.name, result).observe(perf_counter() - started)

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
            return await _send(self._session, call, body)
        except UpstreamBroken:
            if call.method not in _REPEATABLE or not self._retries.allowed():
                raise
        self._metrics.retries(self.name).inc()
        return await _send(self._fresh, call, body)

    async def _stream(self, guard: Guard, call: Call, body: Body) -> ClientResponse:
        source = Streamed(body, guard, call.timeout_s)
        call.headers["Content-Length"] = str(body.length)
        guard.watch(
            call.stall_s,
            reading=BodyStalled("the body made no progress"),
            writing=UpstreamTimeout("the other side takes no bytes"),
        )
        try:
            response = await _send(self._session, call, source)
        except UpstreamBroken as error:
            if source.error is not None:
                raise source.error from error
            raise
        source.answered = True
        return response


async def _send(session: ClientSession, call: Call, data: bytes | Payload | None) -> ClientResponse:
    return await session.request(
        call.method, call.url, headers=call.headers, data=data, allow_redirects=False
    )
