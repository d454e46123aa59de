"""A listener and its connections: one sweeper for all time limits, and a drain that lets requests end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Protocol

from services.kit.http.connection import Connection
from services.kit.http.message import Handler
from services.kit.http.writing import Limits

SWEEP_S = 0.25
BACKLOG = 1024
ABORT_S = 0.5


class Served(Protocol):
    """A connection as its server sees it."""

    due_at: float  # when it is late; see ``connection.Connection``
    transport: Any

    @property
    def idle(self) -> bool: ...

    def expired(self) -> None: ...

    def cut(self) -> None: ...


class Server:
    """Serves ``handler``, which answers each request by ``request.respond``.

    Args:
        malformed: told the status of every answer to something that could not be parsed.
    """

    def __init__(self, handler: Handler, malformed: Callable[[int], None], limits: Limits) -> None:
        self.handler, self.malformed, self.limits = handler, malformed, limits
        self.loop = asyncio.get_running_loop()
        self.draining = False  # answers say that their connection ends
        self.leaving = False  # and those that did not say so end after their answer
        self._connections: set[Served] = set()
        self._listener: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    async def start(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Listen; the port, which is another one than asked for when that is 0.

        Raises:
            OSError: the port is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port
        )
        self._listener = await self.loop.create_server(
            self.connection, sock=self._socket.dup(), backlog=BACKLOG
        )
        self._sweep = self.loop.call_later(SWEEP_S, self._look)
        bound: int = self._socket.getsockname()[1]
        return bound

    def connection(self) -> asyncio.Protocol:
        """What speaks HTTP on a new connection."""
        return Connection(self)

    def opened(self, connection: Served) -> None:
        self._connections.add(connection)

    def closed(self, connection: Served) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _look(self) -> None:
        now = self.loop.time()
        for connection in [one for one in self._connections if one.due_at <= now]:
            connection.expired()
        self._sweep = self.loop.call_later(SWEEP_S, self._look)

    async def stop(self, drain_s: float, notice_s: float = 0.0) -> None:
        """Stop listening, let running requests end for at most ``drain_s`` seconds, then cut them off.

        For ``notice_s`` before that, open connections are served once more and told that they end, so
        that who balances between replicas goes elsewhere without meeting a closed connection.
        """
        self.draining = True
        if self._listener is not None and self._socket is not None:
            self._listener.close()
            listener, self._socket = self._socket, None
            await self._take_the_rest(listener)
        await asyncio.sleep(notice_s)
        self.leaving = True
        for connection in list(self._connections):
            if connection.idle:
                connection.transport.close()
        await self._until_empty(drain_s)
        for connection in list(self._connections):
            connection.cut()
        await self._until_empty(ABORT_S)
        if self._sweep is not None:
            self._sweep.cancel()

    async def _take_the_rest(self, listener: socket.socket) -> None:
        """Serve who connected but was not accepted yet: closing a listener would reset these connections."""
        with listener:
            listener.setblocking(False)
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    return
                connection.setblocking(False)
                await self.loop.connect_accepted_socket(self.connection, connection)

    async def _until_empty(self, seconds: float) -> None:
        self._empty.clear()
        if self._connections:
            try:
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            except TimeoutError:
                return
