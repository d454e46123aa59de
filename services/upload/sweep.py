"""What the upload service sweeps, each kind a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from services.kit.clock import World
from services.kit.codec import is_uuid
from services.kit.s3 import OpenUpload, S3Client, StoreError
from services.kit.sweeping import Scope, Turn
from services.upload.chunk_store.spool import Spool
from services.upload.leftovers import Leftovers, Tombstones, delete_objects
from services.upload.metrics import Metrics
from services.upload.model import Session
from services.upload.repository.ended import FIRST, Ended, Known

BATCH = 50
PAGE = 250
NEVER = timedelta(days=36_500)
NOBODY = UUID(int=0)
# A second store upload of a live upload is recorded moments later; no operator's age applies before that.
UNRECORDED_S = 600.0
STARTING_S = 60.0  # a process that starts tests the store; no operator's age applies before that
FILES, CHUNKS, SELF_TESTS = "users/", "chunks/", "selftest/"


class ExpiredUploads:
    """Open and failed uploads past their time: aborted, given up, cleaned for the first time."""

    def __init__(self, ended: Ended, leftovers: Leftovers, metrics: Metrics) -> None:
        self._ended, self._leftovers, self._metrics = ended, leftovers, metrics

    async def sweep(self, turn: Turn) -> None:
        users, idle_since = turn.scope.user_list, await self._ended.now() - _asked(turn)
        if turn.scope.dry_run:
            turn.add("session", await self._ended.due(idle_since, users))
            return
        cleaning = _Cleaning(self._leftovers, turn)
        while expired := await self._ended.expire(idle_since, users, BATCH):
            turn.add("session", len(expired))
            for session in expired:
                self._metrics.sessions(session.method, "expired").inc()
            for session in expired:
                await cleaning.clean(session)
            await turn.between()
        cleaning.check()


class EndedUploads:
    """Ended uploads, once more after the last moment at which bytes of them may have come."""

    def __init__(self, ended: Ended, leftovers: Leftovers) -> None:
        self._ended, self._leftovers = ended, leftovers

    async def sweep(self, turn: Turn) -> None:
        users, age, place = turn.scope.user_list, _asked(turn), FIRST
        cleaning = _Cleaning(self._leftovers, turn)
        while found := await self._ended.to_clean(age, users, place, BATCH):
            for session, place in found:  # noqa: B007 - the last one is where the next batch begins
                if await cleaning.clean(session) and not turn.scope.dry_run:
                    await self._ended.cleaned(session.id)
            await turn.between()
        cleaning.check()


def _asked(turn: Turn) -> timedelta:
    """The operator's age; a timed sweep goes by the times in the rows alone."""
    asked_s = turn.scope.older_than_s
    return NEVER if asked_s is None else timedelta(seconds=asked_s)


class _Cleaning:
    """Cleans one upload after another; the store's refusal of one does not keep the others."""

    def __init__(self, leftovers: Leftovers, turn: Turn) -> None:
        self._leftovers, self._turn = leftovers, turn
        self._failure: StoreError | None = None

    async def clean(self, session: Session) -> bool:
        """Whether nothing of it is left. Raises Fault when nothing may be removed now."""
        try:
            await self._leftovers.clean(session, self._turn)
        except StoreError as error:
            self._failure = error
            return False
        return True

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure


class StrayUploads:
    """Multipart uploads that the store keeps open and no live upload needs: of one whose row was never
    written, or that was opened a second time. The store's own list says which there are; MinIO forgets it
    when it is restarted, and drops what it forgot by its own expiry."""

    def __init__(self, ended: Ended, store: S3Client, tombstones: Tombstones, age_s: float) -> None:
        self._ended, self._store, self._tombstones, self._age_s = ended, store, tombstones, age_s

    async def sweep(self, turn: Turn) -> None:
        now = await self._store.now()
        listed = [one for one in await self._store.list_uploads() if _ours(one.key, turn)]
        for at in range(0, len(listed), PAGE):
            page = listed[at : at + PAGE]
            known = await self._ended.known(_ids(one.key for one in page))
            for one in page:
                upload = known.get(_id_of(one.key) or NOBODY)
                if await self._stray(one, upload, now - one.initiated, turn.scope):
                    await self._abort(one, turn)
            await turn.between()

    async def _stray(self, one: OpenUpload, upload: Known | None, age: timedelta, scope: Scope) -> bool:
        if upload is None:
            return age >= scope.age_of_unknown(self._age_s) and not await self._copies(one.key, scope)
        if upload.live:
            recorded_by = max(scope.age(self._age_s), timedelta(seconds=UNRECORDED_S))
            return age >= recorded_by and one.upload_id not in upload.upload_ids
        return age >= scope.age(self._age_s)

    async def _copies(self, key: str, scope: Scope) -> bool:
        """Whether the files service is making a copy in parts there; if the id is nobody's, it stays so. A
        dry run does not ask, because asking leaves a tombstone.

        Raises:
            Fault: the files service does not say.
        """
        upload = _id_of(key)
        if upload is None or scope.dry_run:
            return False
        living = await self._tombstones.void(upload)
        return living is not None and living.copying

    async def _abort(self, upload: OpenUpload, turn: Turn) -> None:
        """By key the store lists what it has; MinIO's memory also holds uploads whose completing request was
        cut off after it was carried out."""
        if upload.upload_id not in {one.upload_id for one in await self._store.list_uploads(upload.key)}:
            return
        if not turn.scope.dry_run:
            await self._store.abort_multipart(upload.key, upload.upload_id)
        turn.add("multipart", len(turn.unseen([upload.upload_id])))


def _ours(key: str, turn: Turn) -> bool:
    return key.startswith((FILES, SELF_TESTS)) and turn.scope.covers_key(key)


def _id_of(key: str) -> UUID | None:
    """The upload in ``users/<user>/<upload>``."""
    name = key.rpartition("/")[2]
    return UUID(name) if is_uuid(name) else None


def _ids(keys: Iterable[str]) -> set[UUID]:
    return {upload for key in keys if (upload := _id_of(key)) is not None}


class StrayObjects:
    """Temporary objects of no live upload, and what tests of the store at a start left."""

    def __init__(self, ended: Ended, store: S3Client, age_s: float) -> None:
        self._ended, self._store, self._age_s = ended, store, age_s

    async def sweep(self, turn: Turn) -> None:
        await self._through(CHUNKS, turn, turn.scope.age(self._age_s))
        if turn.scope.users is None:
            asked = turn.scope.age(self._age_s)
            await self._through(SELF_TESTS, turn, max(asked, timedelta(seconds=STARTING_S)))

    async def _through(self, prefix: str, turn: Turn, age: timedelta) -> None:
        after = ""
        now = await self._store.now()
        while entries := await self._store.list_objects(prefix, after=after, limit=PAGE):
            after = entries[-1].key
            uploads = {entry.key: entry.key.split("/")[1] for entry in entries}
            names = {name for name in uploads.values() if is_uuid(name)}
            removable = await removable_uploads(self._ended, names, turn)
            old = [entry for entry in entries if entry.last_modified <= now - age]
            await delete_objects(self._store, [entry for entry in old if removable(uploads[entry.key])], turn)
            await turn.between()


class StraySpoolFiles:
    """Spool files of no live upload."""

    def __init__(self, ended: Ended, spool: Spool, world: World, age_s: float) -> None:
        self._ended, self._spool, self._world, self._age_s = ended, spool, world, age_s

    async def sweep(self, turn: Turn) -> None:
        files = await self._spool.files()
        oldest_kept = self._world.now() - turn.scope.age(self._age_s).total_seconds()
        for at in range(0, len(files), PAGE):
            page = files[at : at + PAGE]
            names = {file.upload for file in page if is_uuid(file.upload)}
            removable = await removable_uploads(self._ended, names, turn)
            for file in page:
                if file.modified > oldest_kept or not removable(file.upload):
                    continue
                if not turn.scope.dry_run:
                    await self._spool.remove(str(file.path))
                if turn.unseen([str(file.path)]):
                    turn.add("spool", 1, file.size_bytes)
            await turn.between()


async def removable_uploads(ended: Ended, names: Iterable[str], turn: Turn) -> Callable[[str], bool]:
    """Tells whether what carries the name of an upload may go: the upload is not live, and in the scope."""
    known = {str(upload): one for upload, one in (await ended.known([UUID(name) for name in names])).items()}
    users = turn.scope.users

    def removable(name: str) -> bool:
        upload = known.get(name)
        if upload is None:
            return users is None  # whose it was, nobody knows any more
        return not upload.live and (users is None or upload.user_id in users)

    return removable


class EndedRows:
    """Rows of uploads that ended ``age_s`` ago: they are history, and no operator's age applies."""

    def __init__(self, ended: Ended, age_s: float) -> None:
        self._ended, self._age = ended, timedelta(seconds=age_s)

    async def sweep(self, turn: Turn) -> None:
        after: int | None = 0
        while after is not None:
            rows = await self._ended.old_rows(self._age, turn.scope.user_list, after, PAGE)
            after = rows.next_id
            deleted = len(rows.over) if turn.scope.dry_run else await self._ended.delete(rows.over)
            turn.add("row", deleted)
            await turn.between()
