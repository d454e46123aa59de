"""A process's public port: aiohttp's server behind it, and an end that loses no request."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.kit.web.boundary import Boundary
from services.kit.web.rest import LINGER_S

BACKLOG = 1024
KEEPALIVE_S = 75.0  # more than the 60 s of our clients, so that the client closes
ABORT_S = 0.5
NO_LIMIT = 0.0  # the kernel's own, which ends only what nobody acknowledges
REQUEST_TURNS = 3  # of the loop, until a request that was read is handed to its handler


class Refusals(logging.Handler):
    """What aiohttp's server says of requests that no handler of ours sees, or whose answer it cannot send.

    Args:
        refused: called for each request that is not HTTP.
        failed: called for anything else, with what went wrong.
    """

    def __init__(self, refused: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        super().__init__(logging.ERROR)
        self._refused, self._failed = refused, failed

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or isinstance(error, HttpProcessingError):
            self._refused()
        else:
            self._failed(error)


def server_options(refused: Callable[[], None], failed: Callable[[BaseException], None]) -> dict[str, Any]:
    """Keyword arguments of aiohttp's connections that every process shares."""
    logger = logging.Logger("http")  # of this server alone: not in the tree of all loggers
    logger.addHandler(Refusals(refused, failed))
    return {
        "logger": logger,
        "access_log": None,
        "auto_decompress": False,
        "keepalive_timeout": KEEPALIVE_S,
        "lingering_time": LINGER_S,
    }


class Listener:
    """Serves what a runner makes.

    Args:
        runner: set up already.
        stall_s: how long a client may take no bytes of its answer; then the kernel ends the connection.
        reuse_port: other processes may listen on the same port, and share its connections.
    """

    def __init__(
        self,
        runner: web.BaseRunner,
        boundary: Boundary,
        *,
        stall_s: float,
        reuse_port: bool = False,
    ) -> None:
        self._runner, self._boundary = runner, boundary
        self._stall_s, self._reuse_port = stall_s, reuse_port
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which is another one than asked for when that is 0.

        Raises:
            OSError: the port is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = self._socket = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, reuse_port=self._reuse_port
        )
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._stall_s * 1000))
        self._server = await self._loop.create_server(self._connection, sock=bound.dup(), backlog=BACKLOG)
        number: int = bound.getsockname()[1]
        return number

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        return server()

    async def stop(self, drain_s: float, notice_s: float = 0.0) -> None:
        """Stop listening, let running requests end for at most ``drain_s`` seconds, then cut them off.

        For ``notice_s`` before that, open connections are served and told that they end, so that who
        balances between replicas goes elsewhere without meeting a closed connection.
        """
        self._boundary.drain(notice_s + drain_s)
        listening, self._socket = self._socket, None
        if self._server is not None and listening is not None:
            self._server.close()
            await self._take_the_rest(listening)
        await asyncio.sleep(notice_s)
        for _ in range(REQUEST_TURNS):
            await asyncio.sleep(0)
        self._close_idle()
        # The runner would stop reading the bodies of requests that are under way.
        await self._boundary.until_idle(drain_s)
        await self._runner.cleanup()

    def _close_idle(self) -> None:
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            if connection not in self._boundary.serving:
                connection.force_close()

    async def _take_the_rest(self, listening: socket.socket) -> None:
        """Serve who connected but was not accepted yet: closing a listener would reset these connections."""
        with listening:
            listening.setblocking(False)
            while True:
                try:
                    connection, _ = listening.accept()
                    connection.setblocking(False)
                    await self._loop.connect_accepted_socket(self._connection, connection)
                except OSError:  # also when nobody waits any more
                    return
