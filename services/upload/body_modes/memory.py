"""Memory of this process that holds bodies."""

from __future__ import annotations

import asyncio

from services.kit.errors import Fault

WAIT_S = 5.0


class HeldBytes:
    """Counts what one body holds in memory; ``Memory`` makes it."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self._bytes = memory, 0

    def fits(self, size_bytes: int) -> bool:
        """Whether so much more may be taken now."""
        return size_bytes <= self._memory.free_bytes

    async def take(self, size_bytes: int) -> None:
        """Raises Fault: ``overloaded``, the other bodies hold too much, for too long."""
        await self._memory.take(size_bytes)
        self._bytes += size_bytes

    def give_back(self, size_bytes: int | None = None) -> None:
        """So much of it, or all."""
        given = self._bytes if size_bytes is None else size_bytes
        self._bytes -= given
        self._memory.give_back(given)


class Memory:
    """At most ``limit_bytes`` of bodies are held at once, whoever sends them.

    Args:
        wait_s: how long a body waits for memory before it is refused.
    """

    def __init__(self, limit_bytes: int, wait_s: float = WAIT_S) -> None:
        self.free_bytes = limit_bytes
        self._wait_s = wait_s
        self._waiters: list[asyncio.Future[None]] = []

    def held(self) -> HeldBytes:
        return HeldBytes(self)

    async def take(self, size_bytes: int) -> None:
        if size_bytes > self.free_bytes:
            await self._until(size_bytes)
        self.free_bytes -= size_bytes

    async def _until(self, size_bytes: int) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                while size_bytes > self.free_bytes:
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiters.append(waiter)
                    await waiter
        except TimeoutError as error:
            raise Fault("overloaded", "Too many bodies are held in memory. Please try again.") from error

    def give_back(self, size_bytes: int) -> None:
        self.free_bytes += size_bytes
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
