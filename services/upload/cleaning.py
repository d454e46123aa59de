"""Removing what ended uploads leave behind, at once and beside the requests. What a fault leaves is swept."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault
from services.kit.s3 import CONTROL_CONNECTIONS, S3Client, StoreError
from services.kit.sweeping import Scope, Turn
from services.kit.trail import nobody
from services.upload.chunk_store.sink import ChunkStore
from services.upload.leftovers import Leftovers
from services.upload.model import Session, SourceKind, State, Work
from services.upload.repository.ended import Ended

REMOVALS_AT_ONCE = CONTROL_CONNECTIONS // 8  # the others are for what somebody waits for
_KEPT = {SourceKind.FINAL, SourceKind.PART}


class Cleaner:
    """Args:
    stores: every kind of chunk store, because an upload may have begun under another setting.
    """

    def __init__(
        self,
        store: S3Client,
        stores: Mapping[str, ChunkStore],
        ended: Ended,
        leftovers: Leftovers,
        log: FilteringBoundLogger,
    ) -> None:
        self._store, self._stores, self._log = store, tuple(stores.values()), log
        self._ended, self._leftovers = ended, leftovers
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(REMOVALS_AT_ONCE)
        self._removals: dict[int, bool] = {}  # of which sessions one runs, and whether to begin it again

    def completed(self, work: Work) -> None:
        """Remove the chunks that are not part of the object; nothing for an upload that had none."""
        if any(source.kind not in _KEPT for source in work.sources):
            self._later(self._remove_chunks(work))

    async def give_up(self, session: Session) -> bool:
        """An upload was aborted: make sure that nothing becomes of it, then remove everything of it.

        False when it is a file, which it stays. While the files service is away nothing is removed: a sweep
        sees to both.
        """
        try:
            given_up = await self._leftovers.give_up(session)
        except Fault as fault:
            self._log.warning("giving up", upload_uuid=str(session.upload_uuid), reason=fault.message)
            return True
        if given_up:
            self.aborted(session)
        return given_up

    def aborted(self, session: Session) -> None:
        """Remove everything of an upload that was aborted or has expired, unless it is a file."""
        runs = session.id in self._removals
        self._removals[session.id] = True
        if not runs:
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
        async with self._places:
            for chunks in self._stores:
                await chunks.remove(work.sources)

    async def _remove_all(self, session: Session) -> None:
        try:
            async with self._places:
                while self._removals[session.id]:
                    self._removals[session.id] = False
                    await self._ended.expire_one(session.id)
                    await self._leftovers.clean(session.with_status(State.ABORTED), Turn(Scope()))
        except (StoreError, Fault) as error:
            self._log.warning("cleaning", upload_uuid=str(session.upload_uuid), reason=str(error))
        finally:
            del self._removals[session.id]

    async def remove_part_upload(self, key: str, upload_id: str) -> None:
        """A multipart upload that nobody will use."""
        with suppress(StoreError):
            await self._store.abort_multipart(key, upload_id)
