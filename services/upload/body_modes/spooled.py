"""``mode=spooled``: to a temporary file first, then to the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from services.kit.clock import World
from services.kit.s3 import S3Client
from services.kit.s3.retry import Retry
from services.upload.body_modes.held import Held
from services.upload.body_modes.parts import MAX_BYTES
from services.upload.body_modes.sink import FileSink, Incoming, Kept
from services.upload.body_modes.streamed import Streamed
from services.upload.chunk_store.spool import Spool, SpoolFile, not_kept


class _Spooled(Held):
    """Nothing is synced, for nothing is accepted before it is in the store."""

    def __init__(
        self,
        store: S3Client,
        streamed: Streamed,
        incoming: Incoming,
        retry: Retry,
        *,
        spool: Spool,
        file: SpoolFile,
    ) -> None:
        super().__init__(store, streamed, incoming, retry)
        self._spool, self._file = spool, file

    @property
    def full(self) -> bool:
        return self._file.full

    async def write(self, data: bytes) -> None:
        self._file.write(data)
        self._size_bytes += len(data)

    async def drained(self) -> None:
        try:
            self._spool.refuse_when_full()
        except OSError as error:
            raise not_kept(error) from error
        await self._file.drained()

    async def finish(self, checksum: str) -> Kept:
        await self.drained()
        try:
            await asyncio.to_thread(self._file.close)
            return await self._send(checksum, lambda: self._read(str(self._file.path)))
        except OSError as error:
            raise not_kept(error) from error
        finally:
            await self._remove()

    async def _read(self, path: str) -> AsyncGenerator[bytes, None]:
        async for data in self._spool.read(path, 0, self._size_bytes):
            yield data

    async def abort(self) -> None:
        await self._remove()
        await self._unsend()

    async def _remove(self) -> None:
        with suppress(OSError):
            self._file.close()  # what it could not write is not wanted any more
        with suppress(OSError):
            await self._spool.remove(str(self._file.path))


class Spooled:
    max_bytes: int | None = MAX_BYTES

    def __init__(self, store: S3Client, streamed: Streamed, spool: Spool, world: World) -> None:
        self._store, self._streamed, self._spool, self._world = store, streamed, spool, world

    async def open(self, incoming: Incoming) -> FileSink:
        self._spool.refuse_when_full(incoming.size_bytes or 0)
        name = f"body-{self._world.token_hex(8)}"
        file = await self._spool.open(incoming.session.upload_uuid, name)
        return _Spooled(
            self._store, self._streamed, incoming, Retry(self._world.rng), spool=self._spool, file=file
        )
