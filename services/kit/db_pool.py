"""Our pool of asyncpg connections.

The connection that was used last is used next, so that few are busy and the others age out; whoever
waits is served in order, by a connection that comes back or by one that is opened meanwhile, whichever
is first. Taking a free connection costs no task, no timer and no lock. A connection whose state is not
certain is thrown away: after a cancellation, after a driver's error, with a transaction still open.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeAlias

import asyncpg

SWEEP_S = 1.0
IDLE_S = 300.0
STUCK_S = 11.0  # one second more than a statement may take
CLOSE_S = 5.0
OPENING_AT_ONCE = 2  # a burst is served by few connections rather than by as many as it has requests

Raw: TypeAlias = "asyncpg.Connection[Any]"


class Held:
    """A connection of the pool; ``busy_since`` is when its running statement began."""

    __slots__ = ("busy_since", "idle_since", "raw")

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.busy_since = inf
        self.idle_since = 0.0


class OwnPool:
    """Connections that are opened when needed, up to ``limit``.

    Args:
        connect: opens one.
        wait_s: how long a request waits for a connection.
    """

    def __init__(self, connect: Callable[[], Awaitable[Raw]], *, limit: int, wait_s: float) -> None:
        self._connect, self.limit, self._wait_s = connect, limit, wait_s
        self._loop = asyncio.get_running_loop()
        self._free: list[Held] = []
        self._all: set[Held] = set()
        self._waiters: deque[asyncio.Future[Held]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._unused: asyncio.Future[None] | None = None  # closing: done when every connection is free

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def size(self) -> int:
        return len(self._all)

    async def open(self) -> None:
        """Open the first connection, so that a database that is not there is found at once.

        Raises:
            OSError, asyncpg.PostgresError: as the driver's.
        """
        self._add(await self._connect())
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def take(self) -> Held | None:
        """A free connection, if there is one; it comes back through ``give``."""
        while self._free:
            held = self._free.pop()
            if not held.raw.is_closed():
                return held
            self._all.discard(held)
        return None

    async def wait(self) -> Held:
        """A connection, as soon as there is one.

        Raises:
            TimeoutError: not within ``wait_s``.
            OSError, asyncpg.PostgresError: no new connection could be opened.
        """
        waiter: asyncio.Future[Held] = self._loop.create_future()
        self._waiters.append(waiter)
        self._grow()
        timer = self._loop.call_later(self._wait_s, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give(waiter.result())
            raise
        finally:
            timer.cancel()

    def give(self, held: Held, *, sound: bool = True) -> None:
        """Return a connection; one that is not ``sound`` is thrown away."""
        held.busy_since = inf
        raw = held.raw
        if not sound or raw.is_closed() or raw.is_in_transaction():
            self._drop(held)
        else:
            self._hand_on(held)
        if self._unused is not None and len(self._free) == len(self._all) and not self._unused.done():
            self._unused.set_result(None)

    async def close(self) -> None:
        """Wait for running statements, at most 5 s, then close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in self._opening:
            task.cancel()
        if len(self._free) < len(self._all):
            self._unused = self._loop.create_future()
            await asyncio.wait((self._unused,), timeout=CLOSE_S)
        leaving = [self._loop.create_task(held.raw.close()) for held in self._free]
        if leaving:
            await asyncio.wait(leaving, timeout=CLOSE_S)
        for held in self._all:
            held.raw.terminate()

    def _hand_on(self, held: Held) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(held)
                return
        held.idle_since = self._loop.time()
        self._free.append(held)

    def _drop(self, held: Held) -> None:
        self._all.discard(held)
        held.raw.terminate()
        if self._waiters:
            self._grow()

    def _add(self, raw: Raw) -> None:
        held = Held(raw)
        self._all.add(held)
        self._hand_on(held)

    def _grow(self) -> None:
        room = self.limit - len(self._all) - len(self._opening)
        if room > 0 and len(self._opening) < OPENING_AT_ONCE:
            task = self._loop.create_task(self._open_one())
            self._opening.add(task)
            task.add_done_callback(self._opened)

    async def _open_one(self) -> None:
        try:
            self._add(await self._connect())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            self._refuse(error)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if self._waiters and not task.cancelled():
            self._grow()

    def _refuse(self, error: Exception) -> None:
        """The one who has waited longest learns why; the others try on."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                return

    def _sweep(self) -> None:
        now = self._loop.time()
        for held in tuple(self._all):
            if held.busy_since <= now - STUCK_S:
                held.raw.terminate()  # its statement fails now, and its user returns it
        while len(self._free) > 1 and self._free[0].idle_since <= now - IDLE_S:
            self._drop(self._free.pop(0))
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)


def _give_up(waiter: asyncio.Future[Held]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError("no connection in time"))
