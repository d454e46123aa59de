"""Memory of this process that holds bodies."""

from __future__ import annotations

from services.kit.errors import Fault


class HeldBytes:
    """Counts what one body holds in memory; ``Memory`` makes it."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self._bytes = memory, 0

    def fits(self, size_bytes: int) -> bool:
        """Whether so much more may be taken now."""
        return size_bytes <= self._memory.free_bytes

    def take(self, size_bytes: int) -> None:
        """Raises Fault: ``overloaded``, the other bodies hold too much."""
        self._memory.take(size_bytes)
        self._bytes += size_bytes

    def give_back(self, size_bytes: int | None = None) -> None:
        """So much of it, or all."""
        given = self._bytes if size_bytes is None else size_bytes
        self._bytes -= given
        self._memory.free_bytes += given


class Memory:
    """At most ``limit_bytes`` of bodies are held at once, whoever sends them."""

    def __init__(self, limit_bytes: int) -> None:
        self.free_bytes = limit_bytes

    def held(self) -> HeldBytes:
        return HeldBytes(self)

    def take(self, size_bytes: int) -> None:
        if size_bytes > self.free_bytes:
            raise Fault("overloaded", "Too many bodies are held in memory. Please try again.")
        self.free_bytes -= size_bytes
