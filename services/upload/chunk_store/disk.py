"""Chunks on this host's disk (``CHUNK_STORE=disk``): an experiment's arm, not a default.

Every chunk is written to a spool file and synced before it is accepted; the finaliser reads it back.
One replica only, unless the spool folder is shared.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.kit.clock import World
from services.kit.errors import unavailable
from services.upload.chunk_store.sink import Nowhere, Sink
from services.upload.chunk_store.spool import Spool, SpoolFile
from services.upload.model import Opened, Send, Source, SourceKind
from services.upload.placement import is_repeat

FLUSH_BYTES = 256 * 1024


class _SpoolSink:
    """Pieces collect and are written in a thread, 256 KiB at a time."""

    def __init__(self, spool: Spool, file: SpoolFile) -> None:
        self._spool, self._file = spool, file
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.location: str | None = f"{SourceKind.SPOOL}:{file.path}"

    @property
    def full(self) -> bool:
        return self._waiting_bytes >= FLUSH_BYTES

    async def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    async def drained(self) -> None:
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        try:
            await asyncio.to_thread(self._file.write, data)
        except OSError as error:
            raise unavailable("spool disk") from error

    async def finish(self, checksum: str) -> str | None:
        await self.drained()
        try:
            await asyncio.to_thread(self._file.sync)
        except OSError as error:
            raise unavailable("spool disk") from error
        return None

    async def abort(self) -> None:
        self._file.close()
        await self.discard()

    async def discard(self) -> None:
        with suppress(OSError):
            await self._spool.remove(str(self._file.path))


class DiskChunkStore:
    """See ``sink.ChunkStore``."""

    def __init__(self, spool: Spool, world: World) -> None:
        self._spool, self._world = spool, world

    def claims(self, send: Send) -> bool:
        return False

    async def open(self, send: Send, opened: Opened, mime_type: str | None) -> Sink:
        if is_repeat(send, opened):
            return Nowhere()
        file = await self._spool.open(send.upload_uuid, f"{send.index}-{self._world.token_hex(8)}")
        return _SpoolSink(self._spool, file)

    async def remove(self, source: Source) -> None:
        if source.kind is SourceKind.SPOOL:
            with suppress(OSError):
                await self._spool.remove(source.place)
