"""Requests over a pool of kept-alive connections to one address.

A target is sent as it is, redirects are answers, nothing is added to the headers but ``Host`` and
``Content-Length``, and nothing is sent twice.

The connection that was used last is used next, so that a few stay warm and the others age out. A request
for which a connection is idle costs no task, no timer and no lock; one sweeper looks at all deadlines
four times a second.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from services.kit.client.connection import NO_ANSWER, SWEEP_S, UNKNOWN, Connection, Exchange, Home
from services.kit.client.head import request_head
from services.kit.client.model import CONNECT_S, Address, Call, UpstreamTimeout, UpstreamUnreachable


class Client:
    """Belongs to the event loop that runs when it is made; once closed by its owner, nothing is open."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._home = Home(self._made, self._freed, self._lost, address.refusals_end)
        self._loop = asyncio.get_running_loop()
        self._tls = ssl.create_default_context() if address.tls else None
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._slots = address.limit  # connections that may still be opened
        # Whoever waits gets a connection, or None: a slot to open one.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None  # closing: done when the last one has left

    async def send(
        self,
        call: Call,
        body: bytes = b"",
        *,
        timeout_s: float,
        piece_s: float | None = None,
        fresh: bool = False,
    ) -> Exchange:
        """Send a request whose body is in memory; returns with the head of the answer.

        Args:
            timeout_s: from now to the head, waiting for a connection included.
            piece_s: see ``Exchange.answer``.
            fresh: on a new connection.

        Raises:
            UpstreamError: there was no answer.
        """
        head = request_head(call, self._address.authority, len(body))
        connection = None if fresh else self._take()
        if connection is None:
            due_at = self._loop.time() + timeout_s
            connection = await self._connection(due_at, fresh=fresh)
            timeout_s = due_at - self._loop.time()
        exchange = connection.start(head, body, bodiless=call.method == "HEAD")
        return await exchange.answer(timeout_s, piece_s)

    async def open(self, call: Call, length: int | None, *, timeout_s: float) -> Exchange:
        """Send the head of a request with a body of ``length`` bytes, which the caller writes.

        Args:
            length: None when it is not known: the caller ends the body with ``write_end``.
            timeout_s: for the connection.

        Raises:
            UpstreamError: there is no connection.
        """
        head = request_head(call, self._address.authority, length)
        connection = self._take()
        if connection is None:
            connection = await self._connection(self._loop.time() + timeout_s)
        return connection.start(head, unsent_bytes=UNKNOWN if length is None else length, bodiless=False)

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(UpstreamUnreachable("this client is closed"))
        for connection in tuple(self._all):
            if connection.exchange is not None:
                connection.exchange.abort()
            else:
                connection.drop()
        if self._all:
            self._empty = self._loop.create_future()
            await self._empty

    # The pool.

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def _connection(self, due_at: float, *, fresh: bool = False) -> Connection:
        if not self._slots:
            if fresh and (unused := self._take()) is not None:
                unused.drop()  # its slot comes back through ``_lost``
            return await self._when_free(due_at)
        self._slots -= 1
        return await self._connect(due_at)

    async def _when_free(self, due_at: float) -> Connection:
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        timer = self._loop.call_at(due_at, _give_up, waiter)
        try:
            connection = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise
        finally:
            timer.cancel()
        if connection is None:
            return await self._connect(due_at)
        if connection.transport.is_closing():  # died on the way; ``_lost`` gives its slot back
            return await self._connection(due_at)
        return connection

    async def _connect(self, due_at: float) -> Connection:
        """Open a connection in the slot that the caller owns."""
        now = self._loop.time()
        connection = Connection(self._home, self._loop)
        try:
            async with asyncio.timeout_at(min(due_at, now + CONNECT_S)):
                await self._loop.create_connection(
                    lambda: connection, self._address.host, self._address.port, ssl=self._tls
                )
        except BaseException as error:
            if not connection.made:
                self._pass_on(None)
            if isinstance(error, TimeoutError) and due_at <= now + CONNECT_S:
                raise UpstreamTimeout(NO_ANSWER) from error
            if isinstance(error, OSError):
                raise UpstreamUnreachable(type(error).__name__) from error
            raise
        if connection.transport.is_closing():
            raise UpstreamUnreachable("closed at once")
        return connection

    def _pass_on(self, connection: Connection | None) -> None:
        """A connection, or the slot of one, goes to whoever has waited longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._slots += 1
        else:
            self._idle.append(connection)

    # Connections call these.

    def _made(self, connection: Connection) -> None:
        """It owns its slot from now on, until it is lost."""
        self._address.opened()
        self._all.add(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _freed(self, connection: Connection) -> None:
        if self._waiters:
            self._pass_on(connection)
        else:
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._pass_on(None)
        if self._empty is not None and not self._all and not self._empty.done():
            self._empty.set_result(None)

    def _sweep(self) -> None:
        now = self._loop.time()
        old = now - self._address.idle_s
        for connection in tuple(self._all):
            exchange = connection.exchange
            if exchange is None:
                if connection.idle_since <= old:
                    connection.drop()
            elif exchange.deadline <= now:
                exchange.expire()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._all else None


def _give_up(waiter: asyncio.Future[Connection | None]) -> None:
    if not waiter.done():
        waiter.set_exception(UpstreamTimeout(NO_ANSWER))
