"""Removing what ended uploads leave behind. Best effort: what a fault leaves stays."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault
from services.kit.s3 import S3Client, StoreError
from services.kit.trail import nobody
from services.upload.chunk_store.sink import ChunkStore
from services.upload.model import Session, SourceKind, Work
from services.upload.repository.sessions import Sessions

_KEPT = {SourceKind.FINAL, SourceKind.PART}


class Cleaner:
    """Args:
    stores: every kind of chunk store, because an upload may have begun under another setting.
    """

    def __init__(
        self,
        store: S3Client,
        stores: Mapping[str, ChunkStore],
        sessions: Sessions,
        log: FilteringBoundLogger,
    ) -> None:
        self._store, self._stores, self._sessions, self._log = store, tuple(stores.values()), sessions, log
        self._tasks: set[asyncio.Task[None]] = set()

    def completed(self, work: Work) -> None:
        """Remove the chunks that are not part of the object; nothing for an upload that had none."""
        if any(source.kind not in _KEPT for source in work.sources):
            self._later(self._remove_chunks(work))

    def aborted(self, session: Session) -> None:
        """Remove everything of an upload that ended without a file."""
        self._later(self._remove_all(session))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=nobody())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, limit_s: float) -> None:
        """Let running removals end, then break off."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=limit_s)
        for task in list(self._tasks):
            task.cancel()

    async def _remove_chunks(self, work: Work) -> None:
        for source in work.sources:
            for chunks in self._stores:
                await chunks.remove(source)

    async def _remove_all(self, session: Session) -> None:
        try:
            left = await self._sessions.leftovers(session.id)
            for upload_id in left.upload_ids:
                await self._store.abort_multipart(session.storage_key, upload_id)
            for source in left.sources:
                for chunks in self._stores:
                    await chunks.remove(source)
            await self._remove_prefix(f"chunks/{session.upload_uuid}/")
            await self._store.delete(session.storage_key)
        except (StoreError, Fault) as error:
            self._log.warning("cleaning", upload_uuid=str(session.upload_uuid), reason=str(error))

    async def _remove_prefix(self, prefix: str) -> None:
        while found := await self._store.list_objects(prefix):
            failed = await self._store.delete_many([entry.key for entry in found])
            if failed:
                return  # the second cleaning tries again

    async def remove_part_upload(self, key: str, upload_id: str) -> None:
        """A multipart upload that nobody will use."""
        with suppress(StoreError):
            await self._store.abort_multipart(key, upload_id)
