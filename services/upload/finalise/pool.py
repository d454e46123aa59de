"""A few large buffers, kept: freshly mapped memory costs a page fault for every 4 KiB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Buffers:
    """At most ``count`` buffers of ``size_bytes``, made when first needed."""

    def __init__(self, count: int, size_bytes: int) -> None:
        self._slots = asyncio.Semaphore(count)
        self._size_bytes = size_bytes
        self._free: list[bytearray] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[bytearray]:
        async with self._slots:
            buffer = self._free.pop() if self._free else bytearray(self._size_bytes)
            try:
                yield buffer
            finally:
                self._free.append(buffer)
