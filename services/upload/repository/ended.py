"""Ends of uploads: those that expire, what they left, and when their rows go. The database's clock counts.

Every change names the state that it changes; a row that another statement holds is left for later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.kit.db import Database, Statement
from services.upload.model import Living, Session, State
from services.upload.repository.rows import COLUMNS, session_of

# Open or failed, and not being finished: a detached finalisation has no job that would say so.
_OVER = """s.ended_at IS NULL
      AND (s.status IN ('pending', 'failed') OR s.status = 'uploading' AND s.upload_method = 'multipart'
        OR s.finalise_mode = 'detached' AND s.status IN ('assembling', 'uploading'))"""
_DUE = f"""{_OVER} AND (s.expires_at <= now() OR s.updated_at <= $1)
      AND ($2::uuid[] IS NULL OR s.user_id = ANY($2))"""
_CLEAN_AFTER = "greatest(now() + interval '120 s', t.urls_expire_at + interval '60 s')"
_ABORT = f"""UPDATE upload_sessions t SET status = 'aborted', ended_at = clock_timestamp(),
            updated_at = now(), job_due_at = NULL, lease_owner = NULL, clean_after = {_CLEAN_AFTER}"""  # noqa: S608

_COUNT_DUE = Statement("sweep_expired_count", f"SELECT count(*) AS n FROM upload_sessions s WHERE {_DUE}")  # noqa: S608
_EXPIRE = Statement(
    "sweep_expired",
    f"""
    WITH due AS (SELECT s.id FROM upload_sessions s WHERE {_DUE} LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
    s AS ({_ABORT} FROM due WHERE t.id = due.id RETURNING t.*)
    SELECT {COLUMNS} FROM s""",  # noqa: S608 - constants of this module
)
_EXPIRE_ONE = Statement(
    "clean_expired",
    f"""
    WITH due AS (SELECT s.id FROM upload_sessions s
                 WHERE s.id = $1 AND {_OVER} AND s.expires_at <= now() FOR NO KEY UPDATE),
    s AS ({_ABORT} FROM due WHERE t.id = due.id RETURNING t.*)
    SELECT {COLUMNS} FROM s""",  # noqa: S608
)

_COMPLETE = Statement(
    "clean_complete",
    """UPDATE upload_sessions SET status = 'completed', ended_at = clock_timestamp(), updated_at = now(),
      etag = $2, checksum = $3, mime_type = $4, file_size_bytes = $5, error_code = NULL, error_message = NULL,
      clean_after = greatest(now() + interval '120 s', urls_expire_at + interval '60 s')
    WHERE id = $1 AND status = 'aborted'""",
)

_TO_CLEAN = Statement(
    "sweep_ended",
    f"""
    SELECT {COLUMNS}, s.clean_after FROM upload_sessions s
    WHERE s.clean_after IS NOT NULL AND (s.clean_after <= now() OR s.ended_at <= now() - $1::interval)
      AND ($2::uuid[] IS NULL OR s.user_id = ANY($2)) AND (s.clean_after, s.id) > ($3, $4)
    ORDER BY s.clean_after, s.id LIMIT $5""",  # noqa: S608
)
_CLEANED = Statement(
    "sweep_cleaned", "UPDATE upload_sessions SET clean_after = NULL WHERE id = $1 AND clean_after <= now()"
)

_LEFT = Statement(
    "clean_left", "SELECT status, storage_upload_id, repack_upload_id FROM upload_sessions WHERE id = $1"
)
_FORGET_CHUNKS = Statement(
    "clean_chunks",
    """WITH gone AS (SELECT id FROM upload_sessions WHERE id = $1 AND status = 'aborted'),
    chunks AS (DELETE FROM upload_chunks c USING gone WHERE c.session_id = gone.id),
    slots AS (DELETE FROM chunk_slots c USING gone WHERE c.session_id = gone.id)
    DELETE FROM multipart_parts p USING gone WHERE p.session_id = gone.id""",
)

_KNOWN = Statement(
    "sweep_known",
    """SELECT upload_uuid, user_id, ended_at IS NULL AS live,
      array_remove(ARRAY[storage_upload_id, repack_upload_id], NULL) AS upload_ids
    FROM upload_sessions WHERE upload_uuid = ANY($1::uuid[])""",
)
# The oldest rows first, and no further than the first one that is too young.
_OLD = Statement(
    "sweep_old_rows",
    """SELECT id, created_at <= now() - $1::interval AS old,
      coalesce(ended_at <= now() - $1::interval AND clean_after IS NULL, false)
        AND ($2::uuid[] IS NULL OR user_id = ANY($2)) AS over
    FROM upload_sessions WHERE id > $3 ORDER BY id LIMIT $4""",
)
_DELETE = Statement(
    "sweep_rows",
    """DELETE FROM upload_sessions WHERE id = ANY($1::bigint[]) AND ended_at IS NOT NULL
      AND clean_after IS NULL""",
)
_NOW = Statement("sweep_now", "SELECT clock_timestamp() AS now")

Place = tuple[datetime, int]
FIRST: Place = (datetime.min.replace(tzinfo=UTC), 0)


@dataclass(frozen=True, slots=True)
class Left:
    """The state of an upload, None when its row is gone, and the store's uploads that were opened for it."""

    status: State | None
    upload_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an upload whose things were found in the store or on disk."""

    user_id: UUID
    live: bool
    upload_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class OldRows:
    """A stretch of rows: the ones to delete, and the id to go on behind; None at the end."""

    over: tuple[int, ...]
    next_id: int | None


class Ended:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def now(self) -> datetime:
        row = await self._db.row(_NOW)
        if row is None:
            raise LookupError("a clock always has a time")
        now: datetime = row["now"]
        return now

    async def due(self, idle_since: datetime, users: Sequence[UUID] | None) -> int:
        """How many uploads have expired, or had no activity since then."""
        row = await self._db.row(_COUNT_DUE, idle_since, users)
        return int(row["n"]) if row else 0

    async def expire(self, idle_since: datetime, users: Sequence[UUID] | None, limit: int) -> list[Session]:
        """Abort them."""
        return [session_of(row) for row in await self._db.rows(_EXPIRE, idle_since, users, limit)]

    async def expire_one(self, session_id: int) -> Session | None:
        """Abort this upload if it has expired."""
        row = await self._db.row(_EXPIRE_ONE, session_id)
        return None if row is None else session_of(row)

    async def complete(self, session_id: int, living: Living) -> bool:
        """An aborted upload is a file all the same; whether that was not known yet."""
        facts = (living.etag, living.checksum, living.mime_type, living.size_bytes)
        return await self._db.execute(_COMPLETE, session_id, *facts) > 0

    async def to_clean(
        self, age: timedelta, users: Sequence[UUID] | None, after: Place, limit: int
    ) -> list[tuple[Session, Place]]:
        """Ended uploads that are to be cleaned again, or ended so long ago, each with its place."""
        rows = await self._db.rows(_TO_CLEAN, age, users, *after, limit)
        return [(session_of(row), (row["clean_after"], row["id"])) for row in rows]

    async def cleaned(self, session_id: int) -> None:
        """That was the last time, if its time had come."""
        await self._db.execute(_CLEANED, session_id)

    async def left(self, session_id: int) -> Left:
        row = await self._db.row(_LEFT, session_id)
        if row is None:
            return Left(None)
        ids = (row["storage_upload_id"], row["repack_upload_id"])
        return Left(State(row["status"]), tuple(upload_id for upload_id in ids if upload_id))

    async def forget_chunks(self, session_id: int) -> None:
        """The chunks and parts of an aborted upload are gone."""
        await self._db.execute(_FORGET_CHUNKS, session_id)

    async def known(self, uploads: Collection[UUID]) -> dict[UUID, Known]:
        rows = await self._db.rows(_KNOWN, list(uploads))
        return {
            row["upload_uuid"]: Known(row["user_id"], row["live"], frozenset(row["upload_ids"]))
            for row in rows
        }

    async def old_rows(self, age: timedelta, users: Sequence[UUID] | None, after: int, limit: int) -> OldRows:
        """Rows of uploads that ended so long ago and need no cleaning."""
        rows = await self._db.rows(_OLD, age, users, after, limit)
        over = tuple(row["id"] for row in rows if row["over"])
        more = len(rows) == limit and rows[-1]["old"]
        return OldRows(over, rows[-1]["id"] if more else None)

    async def delete(self, session_ids: Sequence[int]) -> int:
        """Delete rows, with their chunks and parts; how many these were."""
        return await self._db.execute(_DELETE, session_ids)
