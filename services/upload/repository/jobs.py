"""Finalisation jobs: columns of a session's row, taken with a lease, written only by who holds it.

Every write names the holder and the number under which the job was taken, which grows with every taking;
a write that touches no row means that somebody else has the job now, and its process stops working on it.
A lease that ran out, by the database's clock, may be taken by anybody; until somebody does, it is renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.kit.db import Database, Statement
from services.upload.model import Made, RegisteredPart, Source, SourceKind, State, Step, Work
from services.upload.repository.rows import COLUMNS, session_of

# A job without a lease (``FINALISE=detached``) has no owner: its number is all that tells who holds it.
_MINE = """s.id = $1 AND s.lease_owner IS NOT DISTINCT FROM $2 AND s.job_acquired = $3
      AND s.status IN ('assembling', 'uploading', 'completing')"""
RESTARTS = 3  # so many holders in a row may vanish before a job is suspected
_OVER = "lease_owner = NULL, job_due_at = NULL"
# The store may keep uploads of which nobody was told, beside one that was recorded.
_CLEAN_AFTER = """CASE WHEN coalesce(s.storage_upload_id, s.repack_upload_id) IS NOT NULL
    OR s.urls_expire_at IS NOT NULL OR $6
  THEN greatest(now() + interval '120 s', s.urls_expire_at + interval '60 s') END"""

_FACTS = f"""{COLUMNS}, s.job_step, s.job_etag, s.job_attempts, s.job_acquired, s.joined_etag,
      s.repack_upload_id,
      ARRAY(SELECT ROW(c.size_bytes, c.location, c.etag, c.checksum) FROM upload_chunks c
            WHERE c.session_id = s.id ORDER BY c.chunk_index) AS chunks,
      ARRAY(SELECT ROW(p.part_number, p.size_bytes, p.etag) FROM multipart_parts p
            WHERE p.session_id = s.id ORDER BY p.part_number) AS parts"""  # noqa: S608

# A job whose holders vanish one after the other may be what ends them: it gets longer and longer leases,
# and nobody takes it back before their end. A holder that let go of it is no such case.
_TAKEN = f"""
    s AS (UPDATE upload_sessions t SET lease_owner = $1, job_acquired = t.job_acquired + 1,
            job_interrupted = due.interrupted,
            job_due_at = now() + $2::interval * 2 ^ least(greatest(due.interrupted - {RESTARTS}, 0), 4)
          FROM due WHERE t.id = due.id RETURNING t.*)
    SELECT {_FACTS} FROM s"""  # noqa: S608
_DUE = "SELECT id, job_interrupted + (lease_owner IS NOT NULL)::int AS interrupted FROM upload_sessions"

_TAKE_DUE = Statement(
    "poll_jobs",
    f"""
    WITH due AS (
      {_DUE} WHERE job_due_at <= now()
        AND (id, job_acquired) NOT IN (SELECT * FROM unnest($4::bigint[], $5::int[]))
      LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
    {_TAKEN}""",  # noqa: S608
)

_TAKE_BACK = Statement(
    "job_take_back",
    f"""
    WITH due AS (
      {_DUE}
      WHERE job_due_at IS NOT NULL AND left(lease_owner, -37) = $3 AND lease_owner <> $1
        AND job_interrupted < {RESTARTS}
      FOR NO KEY UPDATE SKIP LOCKED),
    {_TAKEN}""",
)

_LOAD = Statement("job_load", f"SELECT {_FACTS} FROM upload_sessions s WHERE s.id = $1")  # noqa: S608

_RENEW = Statement(
    "poll_renew",
    """UPDATE upload_sessions s SET job_due_at = greatest(s.job_due_at, now() + $4)
    FROM unnest($1::bigint[], $2::int[]) AS held (id, acquired)
    WHERE s.id = held.id AND s.job_acquired = held.acquired AND s.lease_owner = $3 RETURNING s.id""",
)

_STEP = Statement(
    "job_step",
    f"""
    UPDATE upload_sessions s SET job_step = $4, job_etag = $5, joined_etag = $6, repack_upload_id = $7,
      status = CASE WHEN status = 'assembling' AND $4 = 'store' THEN 'uploading' ELSE status END,
      updated_at = now()
    WHERE {_MINE} RETURNING s.id""",  # noqa: S608
)

_FINISH = Statement(
    "job_finish",
    f"""
    UPDATE upload_sessions s SET status = 'completed', ended_at = clock_timestamp(), updated_at = now(),
      etag = $4, checksum = $5, error_code = NULL, error_message = NULL, clean_after = {_CLEAN_AFTER},
      {_OVER}
    WHERE {_MINE} RETURNING s.created_at, s.ended_at""",  # noqa: S608
)

_RETRY = Statement(
    "job_retry",
    f"""
    UPDATE upload_sessions s SET lease_owner = NULL, job_due_at = now() + $6, job_interrupted = 0,
      job_attempts = s.job_attempts + 1, error_code = $4, error_message = $5, updated_at = now()
    WHERE {_MINE} RETURNING s.id""",  # noqa: S608
)

_FAIL = Statement(
    "job_fail",
    f"""
    UPDATE upload_sessions s SET status = 'failed', error_code = $4, error_message = $5, updated_at = now(),
      {_OVER}
    WHERE {_MINE} RETURNING s.id""",  # noqa: S608
)

_REOPEN = Statement(
    "job_reopen",
    f"""
    UPDATE upload_sessions s SET status = $4::upload_status, error_code = $5, error_message = $6,
      updated_at = now(), job_etag = NULL, {_OVER}
    WHERE {_MINE} RETURNING s.id""",  # noqa: S608
)

_RELEASE = Statement(
    "job_release",
    """UPDATE upload_sessions SET lease_owner = NULL, job_due_at = now()
    WHERE job_due_at IS NOT NULL AND lease_owner = $1""",
)

_WATCH = Statement(
    "poll_watched",
    """SELECT id, status, error_code, error_message FROM upload_sessions
    WHERE id = ANY($1::bigint[]) AND status NOT IN ('assembling', 'completing')
      AND NOT (status = 'uploading' AND upload_method = 'proxy')""",
)

_GAUGES = Statement(
    "poll_gauges",
    """SELECT upload_method::text AS method, status::text AS status, count(*) AS n,
      extract(epoch FROM now() - min(job_created_at)
        FILTER (WHERE job_due_at IS NOT NULL AND lease_owner IS NULL))::float8 AS queued_s
    FROM upload_sessions WHERE ended_at IS NULL AND status <> 'failed' GROUP BY 1, 2""",
)


@dataclass(frozen=True, slots=True)
class Finished:
    created_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """The state of an upload that somebody waits for."""

    session_id: int
    status: State
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Gauge:
    """Open uploads of one method and state; ``queued_s`` is the age of the oldest queued job."""

    method: str
    state: str
    count: int
    queued_s: float | None


class Held:
    """Writes of who holds a job; each is False or None when that is somebody else by now.

    Args:
        owner: the lease owner; None for jobs without a lease.
    """

    def __init__(self, database: Database, owner: str | None) -> None:
        self._db, self.owner = database, owner

    async def _write(self, statement: Statement, work: Work, *facts: object) -> Any:
        return await self._db.row(statement, work.session.id, self.owner, work.acquired, *facts)

    async def step(self, work: Work) -> bool:
        """Record ``work``'s step."""
        facts = (work.step, work.etag, work.joined_etag, work.repack_upload_id)
        return await self._write(_STEP, work, *facts) is not None

    async def finish(self, work: Work, made: Made) -> Finished | None:
        row = await self._write(_FINISH, work, made.etag, made.checksum, temporary_used(work))
        return None if row is None else Finished(row["created_at"], row["ended_at"])

    async def retry(self, work: Work, code: str, message: str, delay: timedelta) -> bool:
        """The attempt failed; the next one is due after ``delay``."""
        return await self._write(_RETRY, work, code, message, delay) is not None

    async def fail(self, work: Work, code: str, message: str) -> bool:
        return await self._write(_FAIL, work, code, message) is not None

    async def reopen(self, work: Work, status: State, code: str, message: str) -> bool:
        """Give the upload back to the client: its parts or object are not what they must be."""
        return await self._write(_REOPEN, work, status, code, message) is not None


class Jobs:
    """Taking jobs, keeping them, and looking at them.

    Args:
        owner: this process as lease owner, ``<instance>/<uuid made at start>``.
    """

    def __init__(self, database: Database, owner: str, lease: timedelta) -> None:
        self._db, self.owner, self._lease = database, owner, lease
        self.held, self.detached = Held(database, owner), Held(database, None)

    async def take_due(self, limit: int, held: Sequence[Work] = ()) -> list[Work]:
        """Jobs whose time has come, or whose lease has run out; not ``held``, on which somebody here works
        and whose leases are about to be renewed."""
        rows = await self._db.rows(_TAKE_DUE, self.owner, self._lease, limit, *_takings(held))
        return [_work(row) for row in rows]

    async def take_back(self, instance: str) -> list[Work]:
        """What earlier processes of that name hold; only for the holder of the name's lock."""
        return [_work(row) for row in await self._db.rows(_TAKE_BACK, self.owner, self._lease, instance)]

    async def load(self, session_id: int) -> Work:
        row = await self._db.row(_LOAD, session_id)
        if row is None:
            raise LookupError("the session is gone")
        return _work(row)

    async def renew(self, held: Sequence[Work]) -> set[int]:
        """The sessions whose leases could be renewed."""
        rows = await self._db.rows(_RENEW, *_takings(held), self.owner, self._lease)
        return {row["id"] for row in rows}

    async def release(self) -> int:
        """Let go of everything held, at the end of the process; others take it at once."""
        return await self._db.execute(_RELEASE, self.owner)

    async def watch(self, session_ids: Sequence[int]) -> list[Watched]:
        """Of these uploads, the ones whose finalisation has ended."""
        rows = await self._db.rows(_WATCH, list(session_ids))
        return [
            Watched(row["id"], State(row["status"]), row["error_code"], row["error_message"]) for row in rows
        ]

    async def gauges(self) -> list[Gauge]:
        rows = await self._db.rows(_GAUGES)
        return [Gauge(row["method"], row["status"], row["n"], row["queued_s"]) for row in rows]


def _takings(held: Sequence[Work]) -> tuple[list[int], list[int]]:
    """Their sessions, and under which number each was taken."""
    return [work.session.id for work in held], [work.acquired for work in held]


def temporary_used(work: Work) -> bool:
    """Whether a temporary object was among the sources: then leftovers are looked for again later."""
    return any(source.kind is SourceKind.TEMPORARY for source in work.sources)


def _work(row: Any) -> Work:
    chunks = [tuple(chunk) for chunk in row["chunks"]]
    session = session_of(row)
    return Work(
        session=session,
        step=Step(row["job_step"]),
        etag=row["job_etag"],
        sources=tuple(Source(*chunk[:3]) for chunk in chunks),
        parts=tuple(RegisteredPart(*tuple(part)) for part in row["parts"]),
        checksum=chunks[0][3] if len(chunks) == 1 else session.checksum,
        attempts=max(1, row["job_attempts"]),
        acquired=row["job_acquired"],
        joined_etag=row["joined_etag"],
        repack_upload_id=row["repack_upload_id"],
    )
