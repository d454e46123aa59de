"""Chunks on this host's disk (``CHUNK_STORE=disk``): an experiment's arm, not a default.

Every chunk is written to a spool file and synced before it is accepted; the finaliser reads it back.
One replica only, unless the spool folder is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from services.kit.clock import World
from services.upload.chunk_store.sink import Nowhere, Sink
from services.upload.chunk_store.spool import Spool, SpoolFile
from services.upload.model import Opened, Send, Source, SourceKind
from services.upload.placement import is_repeat


class _SpoolSink:
    def __init__(self, spool: Spool, file: SpoolFile) -> None:
        self._spool, self._file = spool, file
        self.drained = file.drained
        self.location: str | None = f"{SourceKind.SPOOL}:{file.path}"

    @property
    def full(self) -> bool:
        return self._file.full

    async def write(self, data: bytes) -> None:
        self._file.write(data)

    async def finish(self, checksum: str) -> str | None:
        try:
            await self._file.synced()
        except BaseException:
            await self.abort()
            raise
        return None

    async def abort(self) -> None:
        with suppress(OSError):
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

    async def remove(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if source.kind is SourceKind.SPOOL:
                with suppress(OSError):
                    await self._spool.remove(source.place)
