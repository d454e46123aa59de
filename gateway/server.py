"""What surrounds every request: limits of its head, security headers, and the account of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong

from gateway.exchange import EXCHANGE, Exchange
from gateway.limits import Proxies
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from services.kit.clock import World
from services.kit.log import Log
from services.kit.trail import TRAIL, Trail
from services.kit.web.answers import ERROR_CODE, bare_response
from services.kit.web.boundary import Boundary

VERSIONS = (HttpVersion10, HttpVersion11)
LINE_BYTES = 8_192  # of the request line, and of one header
HEADERS = 128
HEAD_BYTES = 32_768
SWEEP_S = 0.1
_LINE_OVERHEAD_BYTES = 4  # ": " and the end of the line


class Gateway(Boundary):
    """Steps 1 to 3 of the pipeline, around the others."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        metrics: Metrics,
        log: Log,
        world: World,
        proxies: Proxies,
        headers: Mapping[str, str],
        head_s: float,
    ) -> None:
        super().__init__(metrics.http, log, world)
        self.pipeline, self._metrics = pipeline, metrics
        self._proxies, self._headers = proxies, headers
        self.heads = Heads(head_s)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        self.heads.ended(request.protocol)
        return await self.serve(request, self._steps)

    async def _steps(self, request: web.BaseRequest) -> web.StreamResponse:
        headers, peer = request.headers, request.remote or ""
        client = self._proxies.client(peer, headers.getall("X-Forwarded-For", ()))
        exchange = request[EXCHANGE] = Exchange(request, TRAIL.get(), peer, client)
        if refused := _refusal(request):
            return bare_response(refused)
        return await self.pipeline.answer(exchange)

    def dress(self, request: web.BaseRequest, response: web.StreamResponse, trail: Trail) -> None:
        super().dress(request, response, trail)
        headers = response.headers
        headers.update(self._headers)
        headers.update(request[EXCHANGE].cors)
        headers.popall(ERROR_CODE, None)

    def count_bytes(self, bytes_in: int, bytes_out: int) -> None:
        if bytes_in:
            self._metrics.bytes_in.inc(bytes_in)
        if bytes_out:
            self._metrics.bytes_out.inc(bytes_out)


def _refusal(request: web.BaseRequest) -> int:
    """The status for a head that is HTTP but not one that is served; 0 for any other."""
    hosts = request.headers.getall("Host", ())
    if request.version not in VERSIONS or (len(hosts) != 1 and (hosts or request.version != HttpVersion10)):
        return 400
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and (request.version == HttpVersion10 or coding.strip().lower() != "chunked"):
        return 400 if request.version == HttpVersion10 else 501
    size = len(request.raw_path)
    for name, value in request.raw_headers:
        size += len(name) + len(value) + _LINE_OVERHEAD_BYTES
        if not value.isascii() and not _is_utf8(value):
            return 400
    return 431 if size > HEAD_BYTES else 0


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class Heads:
    """Connections on which a request head has begun to arrive, and when each is too late.

    aiohttp's server ends a connection that is idle for long; a head that drips is not idle to it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._due_at: dict[asyncio.BaseProtocol, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def begun(self, connection: web.RequestHandler) -> None:
        """Bytes of a head came; only the first ones count."""
        self._due_at.setdefault(connection, self._loop.time() + self._limit_s)
        if self._sweeper is None:
            self._sweep()

    def ended(self, connection: asyncio.BaseProtocol) -> None:
        """The head is complete, or the connection is gone."""
        self._due_at.pop(connection, None)

    def _sweep(self) -> None:
        now = self._loop.time()
        late = [connection for connection, due_at in self._due_at.items() if due_at <= now]
        for connection in late:
            del self._due_at[connection]
            if isinstance(connection, web.RequestHandler):
                connection.force_close()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._due_at else None


class _Connection(web.RequestHandler):
    """A client's connection: its heads arrive in time, and what is not HTTP gets a bare answer, which says
    nothing of the software."""

    __slots__ = ("_gateway", "_refused")

    def __init__(
        self, server: web.Server, gateway: Gateway, refused: Callable[[int], None], **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._gateway, self._refused = gateway, refused

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self not in self._gateway.serving:
            self._gateway.heads.begun(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._gateway.heads.ended(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        too_long = isinstance(exc, LineTooLong) or "Too many headers" in (message or "")
        status = 431 if too_long else status
        self._refused(status)
        return bare_response(status)


class Server(web.Server):
    """aiohttp's server of one handler, without an application around it.

    Args:
        refused: called with the status of each answer to what could not be parsed.
    """

    def __init__(self, gateway: Gateway, refused: Callable[[int], None], options: Mapping[str, Any]) -> None:
        super().__init__(gateway.handle, handler_cancellation=True)
        self._gateway, self._refused = gateway, refused
        self._options = {
            **options,
            "max_line_size": LINE_BYTES,
            "max_field_size": LINE_BYTES,
            "max_headers": HEADERS,
        }

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Connection(self, self._gateway, self._refused, loop=loop, **self._options)
