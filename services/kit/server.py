"""aiohttp's low-level server, hardened where its defaults are soft.

- A request head that takes too long is cut off; the library limits idle connections only.
- HTTP that cannot be parsed gets a bare answer and one log line, not a traceback.
- A body whose framing breaks half-way fails at once instead of waiting for its time limit.
- Draining lets running requests receive the rest of their bodies; the library would drop it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

HEAD_S = 10.0
DRAIN_POLL_S = 0.05
BARE_HEADERS = {"Connection": "close", "Server": "vaultbench"}
Malformed = Callable[[int], None]


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ("_hardened", "_head_timer", "_messages_seen")

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._hardened = server
        self._head_timer: asyncio.TimerHandle | None = None
        self._messages_seen = 0

    @property
    def idle(self) -> bool:
        """Nothing is being served and nothing waits to be."""
        return not self._messages and not self._request_in_progress and self._current_request is None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._request_count != self._messages_seen:
            self._messages_seen = self._request_count
            self._stop_head_timer()
            if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
                self._fail_bodies()
        elif self._head_timer is None and data and self.idle:
            self._head_timer = self._loop.call_later(self._hardened.head_s, self.force_close)

    def _fail_bodies(self) -> None:
        """The framing broke: requests that wait for the rest of a body must learn it now."""
        error = RequestPayloadError("the body is not framed as its head says")
        if self._current_request is not None:
            self._current_request._cancel(error)
        for message, payload in self._messages:
            if isinstance(message, RawRequestMessage) and not payload.is_eof():
                payload.set_exception(error)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A bare answer to what could not be parsed; 431 when a limit of the head was passed."""
        if isinstance(exc, LineTooLong) or "Too many headers" in (message or ""):
            status = 431
        if isinstance(exc, HttpProcessingError):
            self._hardened.malformed(status)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        response = web.Response(status=status, headers=BARE_HEADERS)
        response.force_close()
        return response


class Server(web.Server):
    """Makes ``Connection`` objects; ``malformed`` is told the status of every bare answer."""

    def __init__(self, handler: Any, *, malformed: Malformed, head_s: float = HEAD_S, **options: Any) -> None:
        cancellation = options.pop("handler_cancellation", False)
        factory = options.pop("request_factory", None)
        super().__init__(handler, handler_cancellation=cancellation, request_factory=factory)
        self._options = options
        self.head_s = head_s
        self.malformed = malformed

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._options)

    def pre_shutdown(self) -> None:
        """Close idle connections; the busy ones go on."""
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.idle:
                connection.force_close()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's name
        """Wait until the running requests have ended, at most ``timeout`` seconds, then close the rest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (timeout or 0.0)
        while self.connections and loop.time() < end:
            await asyncio.sleep(DRAIN_POLL_S)
            self.pre_shutdown()
        await super().shutdown(DRAIN_POLL_S)


class AppRunner(web.AppRunner):
    """Runs an application on the hardened server."""

    def __init__(self, app: web.Application, *, malformed: Malformed, **options: Any) -> None:
        super().__init__(app, handle_signals=False, **options)
        self._malformed = malformed

    async def _make_server(self) -> Server:
        await super()._make_server()  # starts the application; the server it makes is not used
        factory = self._app._make_request
        return Server(self._app._handle, malformed=self._malformed, request_factory=factory, **self._kwargs)
