"""Giving up an upload, and removing what it left in the store and on disk.

Nothing of an aborted upload is removed before the files service keeps a tombstone for its id: a
registration that comes too late is refused from then on. If the file lives already, the upload is not given
up but completed, with what was registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from services.kit.s3 import ObjectEntry, S3Client
from services.kit.sweeping import Turn
from services.upload.chunk_store.spool import Spool
from services.upload.metrics import Metrics
from services.upload.model import Living, Session, State
from services.upload.repository.ended import Ended

_LOOKS = 3  # at the store's list of uploads, which may grow while its entries are aborted


class Tombstones(Protocol):
    async def void(self, upload_uuid: UUID) -> Living | None:
        """Make sure that this id never becomes a file; the file if it is one already.

        Raises:
            Fault: the files service does not say.
        """


class Leftovers:
    def __init__(
        self,
        store: S3Client,
        spool: Spool,
        ended: Ended,
        tombstones: Tombstones,
        *,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._store, self._spool, self._ended, self._tombstones = store, spool, ended, tombstones
        self._metrics, self._log = metrics, log

    async def give_up(self, session: Session) -> bool:
        """Whether nothing can become of an aborted upload any more; False when it is a file, and completed.

        Raises:
            Fault: the files service or the database cannot be reached; nothing may be removed.
        """
        living = await self._tombstones.void(session.upload_uuid)
        if living is None:
            return True
        if await self._ended.complete(session.id, living):
            self._metrics.sessions(session.method, "completed").inc()
            self._log.warning("aborted upload is a file", upload_uuid=str(session.upload_uuid))
        return False

    async def clean(self, session: Session, turn: Turn) -> None:
        """Everything of an ended upload but the object of a completed one; ``turn`` counts it.

        Raises:
            Fault: nothing may be removed now.
            StoreError: something is still there, and is found again later.
        """
        if session.status is State.ABORTED and not turn.scope.dry_run:
            await self.give_up(session)
        left = await self._ended.left(session.id)
        aborted = left.status is State.ABORTED
        if not aborted and left.status is not State.COMPLETED:
            return
        await self._abort_uploads(session, left.upload_ids if aborted else (), turn)
        await self._remove_objects(f"chunks/{session.upload_uuid}/", turn)
        await self._remove_spooled(session, turn)
        if aborted:
            found = await self._store.list_objects(session.storage_key, limit=1)
            own = [entry for entry in found if entry.key == session.storage_key]
            await delete_objects(self._store, own, turn)
            if not turn.scope.dry_run:
                await self._ended.forget_chunks(session.id)

    async def _abort_uploads(self, session: Session, recorded: tuple[str, ...], turn: Turn) -> None:
        """Every multipart upload of the key: the recorded ones, for a store that lists none, and those
        that were opened at the same time as others or whose opening was never recorded."""
        key, gone = session.storage_key, set[str]()
        for _ in range(_LOOKS):
            listed = {upload.upload_id for upload in await self._store.list_uploads(key)}
            turn.add("multipart", len(turn.unseen(listed - gone)))
            doomed = (listed | set(recorded)) - gone
            if not doomed or turn.scope.dry_run:
                return
            for upload_id in doomed:
                await self._store.abort_multipart(key, upload_id)
            gone |= doomed

    async def _remove_objects(self, prefix: str, turn: Turn) -> None:
        """All that can be removed now: what the store refuses, the next cleaning tries again."""
        while found := await self._store.list_objects(prefix):
            if not await delete_objects(self._store, found, turn) or turn.scope.dry_run:
                return

    async def _remove_spooled(self, session: Session, turn: Turn) -> None:
        files = await self._spool.files(session.upload_uuid)
        if not turn.scope.dry_run:
            await self._spool.remove_upload(session.upload_uuid)
        unseen = turn.unseen(str(file.path) for file in files)
        turn.add("spool", len(unseen), sum(file.size_bytes for file in files if str(file.path) in unseen))


async def delete_objects(store: S3Client, entries: Sequence[ObjectEntry], turn: Turn) -> bool:
    """Delete up to ``MOST_DELETED`` objects and count them; whether all of them are gone."""
    failed: dict[str, str] = {}
    if not turn.scope.dry_run:
        failed = await store.delete_many([entry.key for entry in entries])
    unseen = turn.unseen(entry.key for entry in entries if entry.key not in failed)
    turn.add("object", len(unseen), sum(entry.size_bytes for entry in entries if entry.key in unseen))
    return not failed
