"""What the files service sweeps: objects of deleted files, rows of long gone ones, and orphans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from services.files.repository.sweeps import FIRST, Owned, SweepRows
from services.kit.codec import is_uuid
from services.kit.s3 import ObjectEntry, S3Client
from services.kit.sweeping import Turn

BATCH = 500
PAGE, PAGES = 250, 4  # of the store's list: so much of it in one timed sweep
FILES = "users/"


class DeletedObjects:
    """Objects of files that were deleted ``grace_s`` ago, and what is there of a copy that was not made in
    its time. One that cannot be deleted now is tried again."""

    def __init__(self, rows: SweepRows, store: S3Client, grace_s: float) -> None:
        self._rows, self._store, self._grace_s = rows, store, grace_s

    async def sweep(self, turn: Turn) -> None:
        age, last = turn.scope.age(self._grace_s), FIRST
        while found := await self._rows.deleted(age, turn.scope.user_list, last, BATCH):
            last = found[-1]
            failed: dict[str, str] = {}
            for one in found:
                if one.unmade:
                    await self._abort_parts(one.storage_key, turn)
            if not turn.scope.dry_run:
                failed = await self._store.delete_many([one.storage_key for one in found])
            done = [one for one in found if one.storage_key not in failed]
            if not turn.scope.dry_run:
                await self._rows.objects_gone([one.file_id for one in done])
            turn.add("object", len(done), sum(one.size_bytes for one in done))
            await turn.between()

    async def _abort_parts(self, key: str, turn: Turn) -> None:
        """The process that copied in parts died: nobody else knows of them."""
        for upload in await self._store.list_uploads(key):
            if not turn.scope.dry_run:
                await self._store.abort_multipart(key, upload.upload_id)
            turn.add("multipart")


class GoneRows:
    """Rows whose objects have been gone for ``age_s``: no operator's age applies to them."""

    def __init__(self, rows: SweepRows, age_s: float) -> None:
        self._rows, self._age = rows, timedelta(seconds=age_s)

    async def sweep(self, turn: Turn) -> None:
        users = turn.scope.user_list
        if turn.scope.dry_run:
            turn.add("row", await self._rows.old(self._age, users))
            return
        while count := await self._rows.forget(self._age, users, BATCH):
            turn.add("row", count)
            await turn.between()


class Strays:
    """Objects that no file names.

    Of an id that can never be a file they are leftovers, and removed. The rest are orphans: counted when
    they are old enough, and removed if that is wanted, each after a tombstone: a registration that comes
    too late is refused then, and does not lose its object.

    Args:
        grace_s: age of a leftover.
        orphan_age_s: age of an orphan.
        delete: whether orphans are removed.
    """

    def __init__(
        self, rows: SweepRows, store: S3Client, *, grace_s: float, orphan_age_s: float, delete: bool
    ) -> None:
        self._rows, self._store, self._delete = rows, store, delete
        self._grace_s, self._orphan_age_s = grace_s, orphan_age_s
        self._after = ""  # where the next timed sweep goes on

    async def sweep(self, turn: Turn) -> None:
        if turn.scope.thorough:
            users = turn.scope.user_list
            for prefix in [FILES] if users is None else [f"{FILES}{user}/" for user in users]:
                after = ""
                while after := await self._page(turn, prefix, after):
                    await turn.between()
            return
        for _ in range(PAGES):
            self._after = await self._page(turn, FILES, self._after)
            await turn.between()
            if not self._after:
                return

    async def _page(self, turn: Turn, prefix: str, after: str) -> str:
        """The key to go on behind; empty at the end."""
        now = await self._store.now()
        entries = await self._store.list_objects(prefix, after=after, limit=PAGE)
        if not entries:
            return ""
        owned = await self._rows.owned([entry.key for entry in entries])
        scope = turn.scope
        ages = {Owned.LEFT: scope.age(self._grace_s), Owned.UNKNOWN: scope.age_of_unknown(self._orphan_age_s)}
        old: dict[Owned, list[ObjectEntry]] = {Owned.LEFT: [], Owned.UNKNOWN: []}
        for entry in entries:
            kind = owned[entry.key]
            if kind in ages and entry.last_modified <= now - ages[kind]:
                old[kind].append(entry)
        await self._remove(turn, "object", old[Owned.LEFT])
        await self._orphans(turn, old[Owned.UNKNOWN])
        return entries[-1].key if len(entries) == PAGE else ""

    async def _orphans(self, turn: Turn, orphans: Sequence[ObjectEntry]) -> None:
        if not self._delete or turn.scope.dry_run:
            turn.add("orphan", len(orphans), sum(entry.size_bytes for entry in orphans), kept=True)
            return
        ids = {entry.key: entry.key.rpartition("/")[2] for entry in orphans}
        free = await self._rows.void([UUID(name) for name in ids.values() if is_uuid(name)])
        doomed = [entry for entry in orphans if not is_uuid(ids[entry.key]) or UUID(ids[entry.key]) in free]
        await self._remove(turn, "orphan", doomed)

    async def _remove(self, turn: Turn, kind: str, entries: Sequence[ObjectEntry]) -> None:
        failed: dict[str, str] = {}
        if entries and not turn.scope.dry_run:
            failed = await self._store.delete_many([entry.key for entry in entries])
        done = [entry for entry in entries if entry.key not in failed]
        turn.add(kind, len(done), sum(entry.size_bytes for entry in done))
