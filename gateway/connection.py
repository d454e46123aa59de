"""Clients' connections: aiohttp's, and what it leaves open at a public edge, by its public hooks.

Heads have to arrive in time, what is not HTTP gets a bare answer that says nothing of the software, and of
a chunked request that arrives in one burst no more is parsed before its head has been judged.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader

from services.kit.web.answers import bare_response

LINE_BYTES = 8_192  # of the request line, and of one header
HEADERS = 128
SWEEP_S = 0.1
HEAD_BYTES = 32_768  # request line and headers together
BURST_BYTES = 65_536
CHUNKED = b"chunked"
ESTABLISHED = 1  # of the kernel's states of a TCP connection
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Heads:
    """Connections on which a request head has begun to arrive, and when each is too late.

    aiohttp's server ends a connection that is idle for long; a head that drips is not idle to it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._due_at: dict[Connection, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def begun(self, connection: Connection) -> None:
        """Bytes of a head came; only the first ones count."""
        self._due_at.setdefault(connection, self._loop.time() + self._limit_s)
        if self._sweeper is None:
            self._sweep()

    def ended(self, connection: Connection) -> None:
        """The head is complete, or the connection is gone."""
        self._due_at.pop(connection, None)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [one for one, due_at in self._due_at.items() if due_at <= now]:
            del self._due_at[connection]
            connection.force_close()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._due_at else None


class Connection(web.RequestHandler):
    """Serves one request after the other.

    Args:
        refused: called with the status of each answer to what could not be parsed.
    """

    __slots__ = ("_heads", "_held", "_refused", "_serving")

    def __init__(
        self, server: web.Server, heads: Heads, refused: Callable[[int], None], **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._heads, self._refused = heads, refused
        self._serving = self._held = False

    def begin(self) -> None:
        """A request is handed to its handler."""
        self._serving = True
        self._heads.ended(self)

    def release(self) -> None:
        """The body of the request is wanted, or the request is over."""
        if self._held:
            self._held = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def answered(self, content: StreamReader) -> None:
        """The handler has answered; until the rest of its request is here, nothing else begins."""
        self.release()
        if content.is_eof():
            self._serving = False
        else:
            content.on_eof(self._over)

    def _over(self) -> None:
        self._serving = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._serving or not data:
            return
        self._heads.begun(self)
        transport = self.transport
        if len(data) < BURST_BYTES or transport is None or not transport.is_reading():
            return
        head, end, _ = data[:HEAD_BYTES].partition(b"\r\n\r\n")
        if end and CHUNKED in head.lower():  # a body of known length costs its parser nothing
            self._held = True
            transport.pause_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._heads.ended(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size:
            raise ConnectionResetError("an answer has begun")
        too_long = isinstance(exc, LineTooLong) or "Too many headers" in (message or "")
        status = 431 if too_long else status
        self._refused(status)
        return bare_response(status)


def release(request: web.BaseRequest) -> None:
    """The body of this request is going to be read."""
    if isinstance(request.protocol, Connection):
        request.protocol.release()


def has_left(request: web.BaseRequest) -> bool:
    """Whether the client closed its connection, also behind a body that nobody reads: only a connection
    that is read from says so by itself."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return True
    if transport.is_reading():
        return False
    try:
        state = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except (OSError, ValueError):  # it is just being closed
        return True
    return bool(state != ESTABLISHED)


class Server(web.Server):
    """aiohttp's server of one handler, without an application around it, with connections of this kind.

    Args:
        head_s: how long a request head may take to arrive.
        refused: see ``Connection``.
        options: of aiohttp's connections.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        head_s: float,
        refused: Callable[[int], None],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(self._handle, handler_cancellation=True)
        self._handler, self._heads, self._refused = handler, Heads(head_s), refused
        limits = {"max_line_size": LINE_BYTES, "max_field_size": LINE_BYTES, "max_headers": HEADERS}
        self._options = {**options, **limits}

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, Connection):
            raise TypeError(type(connection).__name__)
        connection.begin()
        try:
            return await self._handler(request)
        finally:
            connection.answered(request.content)

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return Connection(self, self._heads, self._refused, loop=loop, **self._options)
