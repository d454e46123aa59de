"""The server on aiohttp: its parser, its connection and its writer behind our ``Server``.

Listening, draining and the sweep for time limits are those of ``Server``. Where the library is softer than
``Connection``, it is hardened here: a head that takes too long is cut off, HTTP that cannot be parsed
gets a bare answer and no traceback, a body whose framing breaks fails at once, a client that takes
nothing of its answer is a ``Stalled``, and draining lets running requests receive their bodies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from services.kit.http.head import MAX_HEADERS, MAX_LINE_BYTES
from services.kit.http.message import Handler, Stalled
from services.kit.http.server import Server
from services.kit.http.server_aiohttp_request import Exchange, bare, refusal_of
from services.kit.http.writing import NEVER, Limits, Phase


class AiohttpConnection(RequestHandler):
    """One client connection. ``due_at`` and ``phase`` belong to the sweeper."""

    __slots__ = ("_answered", "_server", "due_at", "phase", "wire")

    def __init__(self, server: AiohttpServer, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._server = server
        self._answered = 0  # requests and parse errors that are dealt with
        self.due_at, self.phase = NEVER, Phase.IDLE
        self.wire: Any = None  # the transport, which the library forgets when it closes it

    # What the server asks.

    @property
    def idle(self) -> bool:
        return self.transport is not None and self._serves_nothing and self.due_at == NEVER

    @property
    def _serves_nothing(self) -> bool:
        return self._request_count == self._answered

    def served(self) -> None:
        self._answered += 1

    def cut(self) -> None:
        if self._task_handler is not None:
            self._task_handler.cancel()
        self.wire.abort()

    def expired(self) -> None:
        self.due_at = NEVER
        if self.phase is Phase.HEAD:
            self.wire.abort()
        elif not self._fail_writer(Stalled()):  # nobody waits for room yet
            self._wait_for(Phase.WRITE, self._server.limits.body_idle_s)

    def _wait_for(self, phase: Phase, seconds: float) -> None:
        self.phase, self.due_at = phase, self._loop.time() + seconds

    def _fail_writer(self, error: Exception) -> bool:
        waiter, self._drain_waiter = self._drain_waiter, None
        if waiter is None or waiter.done():
            return False
        waiter.set_exception(error)
        return True

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = transport
        self._server.opened(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.closed(self)
        self.due_at = NEVER
        self._fail_writer(ConnectionResetError("the client left"))  # the library would call it written
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            if self.phase is Phase.HEAD:
                self.due_at = NEVER
            if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
                self._fail_bodies()
        elif data and self.idle:
            self._wait_for(Phase.HEAD, self._server.limits.head_s)

    def _fail_bodies(self) -> None:
        """The framing broke: requests that wait for the rest of a body must learn it now."""
        error = RequestPayloadError("the body is not framed as its head says")
        if self._current_request is not None:
            self._current_request._cancel(error)
        for message, payload in self._messages:
            if isinstance(message, RawRequestMessage) and not payload.is_eof():
                payload.set_exception(error)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for(Phase.WRITE, self._server.limits.body_idle_s)

    def resume_writing(self) -> None:
        self.due_at = NEVER
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A bare answer to what could not be parsed. A handler that failed has ended its connection."""
        if not isinstance(exc, HttpProcessingError):
            raise ConnectionResetError("the request was not answered") from exc
        if isinstance(exc, LineTooLong) or "Too many headers" in (message or ""):
            status = 431
        self._server.malformed(status)
        return bare(status)


class AiohttpServer(Server):
    """The same as ``Server``, with aiohttp's connections."""

    def __init__(self, handler: Handler, malformed: Callable[[int], None], limits: Limits) -> None:
        super().__init__(handler, malformed, limits)
        self._manager = web.Server(self._serve, handler_cancellation=limits.cancels)

    def connection(self) -> asyncio.Protocol:
        return AiohttpConnection(
            self,
            self._manager,
            loop=self.loop,
            keepalive_timeout=self.limits.idle_s,
            access_log=None,
            auto_decompress=False,
            lingering_time=0.0,  # what is left of a body is taken by the exchange, in bounds
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
        )

    async def _serve(self, given: web.BaseRequest) -> web.StreamResponse:
        connection = given.protocol
        assert isinstance(connection, AiohttpConnection)  # noqa: S101 - it is the only kind made here
        if status := refusal_of(given):
            self.malformed(status)
            return bare(status)
        exchange = Exchange(self, given, connection.wire)
        try:
            await self.handler(exchange.request())
            answer = await exchange.finished()
        except (asyncio.CancelledError, ConnectionError):
            connection.wire.abort()
            raise
        except BaseException as error:
            connection.wire.abort()
            self.loop.call_exception_handler({"message": "a handler failed", "exception": error})
            raise
        finally:
            connection.served()
        if exchange.closes:
            connection.force_close()
        return answer
