"""``mode=buffered``: in memory first, then to the store."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from services.kit.clock import World
from services.kit.s3 import S3Client
from services.kit.s3.retry import Retry
from services.upload.body_modes.held import Held
from services.upload.body_modes.memory import HeldBytes, Memory
from services.upload.body_modes.sink import FileSink, Incoming, Kept
from services.upload.body_modes.streamed import Streamed


class _Buffered(Held):
    def __init__(
        self, store: S3Client, streamed: Streamed, incoming: Incoming, retry: Retry, *, held: HeldBytes
    ) -> None:
        super().__init__(store, streamed, incoming, retry)
        self._memory = held
        self._pieces: list[bytes] = []

    full = False

    async def write(self, data: bytes) -> None:
        await self._memory.take(len(data))
        self._pieces.append(data)
        self._size_bytes += len(data)

    async def drained(self) -> None:
        """Never full."""

    async def finish(self, checksum: str) -> Kept:
        try:
            return await self._send(checksum, self._read)
        finally:
            self._release()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        for data in self._pieces:
            yield data

    async def abort(self) -> None:
        self._release()
        await self._unsend()

    def _release(self) -> None:
        self._pieces = []
        self._memory.give_back()


class Buffered:
    """Args:
    max_bytes: the largest file that is held.
    """

    def __init__(
        self, store: S3Client, streamed: Streamed, memory: Memory, world: World, max_bytes: int
    ) -> None:
        self._store, self._streamed, self._memory, self._world = store, streamed, memory, world
        self.max_bytes: int | None = max_bytes

    async def open(self, incoming: Incoming) -> FileSink:
        retry = Retry(self._world.rng)
        return _Buffered(self._store, self._streamed, incoming, retry, held=self._memory.held())
