"""The clean state that every load starts from: nothing of the harness's users is left.

Only rows and objects of identities in the reserved domain are deleted; the identities stay. What other
users have is the baseline: counted, never touched, unless everything is to go. Cleaning repeats until
a pass finds nothing, so a request that was still being served cannot leave anything behind.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from loadtests.harness.clients.users import Identity
from loadtests.harness.ledger.audit import of_users, suspect_keys, user_of
from loadtests.harness.ledger.databases import harness_users, other_file_ids, sessions_of
from loadtests.harness.ledger.evidence import Baseline, SessionRow
from loadtests.harness.ledger.findings import upload_of_temporary
from loadtests.harness.ledger.store import FILES_PREFIX, TEMPORARY_PREFIX, AuditStore
from loadtests.harness.testbeds.connections import Databases
from loadtests.harness.testbeds.target import Target, for_all, only_ours

CLEAN_LIMIT_S = 30.0
PAUSE_S = 0.2

_USERS_OF = "SELECT DISTINCT user_id FROM {table}"
_DELETE_SESSIONS = "DELETE FROM upload_sessions WHERE user_id = ANY($1::uuid[])"
# Tombstones carry no user; they are known by the id of the upload they stand for.
_DELETE_FILES = "DELETE FROM files WHERE user_id = ANY($1::uuid[]) OR file_uuid = ANY($2::uuid[])"
# Dead rows of one load would slow down the next one's statements.
_VACUUM_UPLOAD = "VACUUM (ANALYZE) upload_sessions, upload_chunks, chunk_slots, multipart_parts"
_VACUUM_FILES = "VACUUM (ANALYZE) files"


class CleanError(Exception):
    """Something of the harness's users is still there after the limit."""


Removed = Counter[str]  # how many were deleted, by what they are; nothing that is 0


@dataclass(frozen=True, slots=True)
class Cleaned:
    removed: Removed
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Cleans one system. ``everything``: other users' files go as well."""

    databases: Databases
    store: AuditStore
    everything: bool = False
    limit_s: float = CLEAN_LIMIT_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def clean(self) -> Cleaned:
        """Delete until nothing of ours is found; raises ``CleanError`` naming what stays."""
        users = await self._users()
        deadline = self.clock() + self.limit_s
        total, uploads = Removed(), frozenset[UUID]()
        while True:
            removed, uploads, baseline = await self._pass(users, uploads)
            total += removed
            if not removed:
                break
            if self.clock() > deadline:
                what = ", ".join(f"{count} {name}" for name, count in removed.items())
                raise CleanError(f"after {self.limit_s:.0f} s there is still something to delete: {what}")
            await self.sleep(PAUSE_S)
        if total:
            await self.databases.upload.execute(_VACUUM_UPLOAD)
            await self.databases.files.execute(_VACUUM_FILES)
        return Cleaned(total, baseline)

    async def _users(self) -> frozenset[UUID]:
        users = await harness_users(self.databases.auth)
        if not self.everything:
            return users
        uploaders = await self.databases.upload.fetch(_USERS_OF.format(table="upload_sessions"))
        owners = await self.databases.files.fetch(_USERS_OF.format(table="files"))
        return users | {row["user_id"] for row in (*uploaders, *owners)}

    async def _pass(
        self, users: frozenset[UUID], uploads: frozenset[UUID]
    ) -> tuple[Removed, frozenset[UUID], Baseline]:
        """Delete rows first, so that no job makes an object anew, then what the store holds."""
        sessions = await sessions_of(self.databases.upload, users)
        uploads |= {session.upload_uuid for session in sessions}
        gone_sessions = _count(await self.databases.upload.execute(_DELETE_SESSIONS, list(users)))
        gone_files = _count(await self.databases.files.execute(_DELETE_FILES, list(users), list(uploads)))
        multiparts = await self._abort_multiparts(sessions, users)
        objects, baseline_keys = await self._remove_objects(users, uploads)
        others = await other_file_ids(self.databases.files, users)
        removed = Removed(
            {
                "sessions": gone_sessions,
                "files": gone_files,
                "objects": objects,
                "multiparts": multiparts,
                "spool files": _remove_spool(sessions),
            }
        )
        return +removed, uploads, Baseline(others, baseline_keys)

    async def _abort_multiparts(self, sessions: Iterable[SessionRow], users: frozenset[UUID]) -> int:
        listed = await self.store.multiparts(suspect_keys(sessions))
        ours = listed if self.everything else of_users(listed, users)
        await self.store.abort((upload.key, upload.upload_id) for upload in ours)
        return len(ours)

    async def _remove_objects(
        self, users: frozenset[UUID], uploads: frozenset[UUID]
    ) -> tuple[int, frozenset[str]]:
        """Count of deleted objects, and the keys that are somebody else's."""
        ids, names = {str(upload) for upload in uploads}, {str(user) for user in users}
        files, temporary = await asyncio.gather(
            *(self.store.objects(prefix) for prefix in (FILES_PREFIX, TEMPORARY_PREFIX))
        )
        doomed = [stored.key for stored in files if self.everything or user_of(stored.key) in names]
        doomed += [
            stored.key for stored in temporary if self.everything or upload_of_temporary(stored.key) in ids
        ]
        await self._remove(doomed)
        gone = set(doomed)
        return len(doomed), frozenset(item.key for item in (*files, *temporary) if item.key not in gone)

    async def _remove(self, keys: Collection[str]) -> None:
        """Whole folders at once where the store can, and object by object what is still listed then."""
        if not keys:
            return
        await self.store.purge(map(folder_of, keys))
        prefixes = (FILES_PREFIX, TEMPORARY_PREFIX)
        listed = await asyncio.gather(*(self.store.objects(prefix) for prefix in prefixes))
        await self.store.remove(sorted(set(keys) & {item.key for some in listed for item in some}))


def folder_of(key: str) -> str:
    """The folder that one user or one upload has to itself."""
    parts = key.split("/")
    return f"{parts[0]}/{parts[1]}/"


def _remove_spool(sessions: Iterable[SessionRow]) -> int:
    """Delete spooled chunks of the sessions; those that are gone already are not counted."""
    paths = [path for session in sessions for path in map(Path, session.spool_paths) if path.is_file()]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _count(tag: str) -> int:
    """The number in a command tag such as ``DELETE 12``."""
    return int(tag.rsplit(" ", 1)[1])


@dataclass(frozen=True, slots=True)
class ContractCleaner:
    """Cleans a target through its contract: uploads of our users are aborted, their files deleted.

    ``users``: all of them, with tokens that are valid now.
    """

    target: Target
    users: Callable[[], Sequence[Identity]]

    async def clean(self) -> Cleaned:
        """Raises ``TargetFailed`` or ``aiohttp.ClientError``."""
        removed = await for_all(self._clean_user, only_ours(self.users()))
        return Cleaned(sum(removed, Removed()), Baseline())

    async def _clean_user(self, user: Identity) -> Removed:
        uploads = await self.target.open_uploads(user)
        await for_all(lambda upload: self.target.abort(user, upload), uploads)
        files = await self.target.files(user)
        await for_all(lambda file: self.target.delete_file(user, file.file_id), files)
        return +Removed(sessions=len(uploads), files=len(files))
