"""Direct uploads: registered parts, and the moment the client calls them complete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.kit.db import Database, Statement
from services.upload.model import CompleteOutcome, Method, RegisteredPart, Session, Work
from services.upload.repository.rows import COLUMNS, session_of

# The session row is locked and read as it is after the wait; the old part only names the result.
_REGISTER = Statement(
    "part_register",
    f"""
    WITH s AS (SELECT * FROM upload_sessions WHERE upload_uuid = $1 AND user_id = $2 FOR NO KEY UPDATE),
    p AS (INSERT INTO multipart_parts AS m (session_id, part_number, size_bytes, etag)
          SELECT id, $3, $4, $5 FROM s
          WHERE upload_method = 'multipart'
            AND standing(upload_method, status, expires_at) IN ('pending', 'uploading')
            AND $3 BETWEEN 1 AND total_chunks
            AND $4 = CASE $3 WHEN total_chunks THEN last_part_bytes ELSE part_size_bytes END
          ON CONFLICT (session_id, part_number)
            DO UPDATE SET size_bytes = EXCLUDED.size_bytes, etag = EXCLUDED.etag, uploaded_at = now()
          RETURNING m.session_id),
    f AS (UPDATE upload_sessions u SET status = 'uploading', updated_at = now(),
            expires_at = prolonged(s.expires_at, s.created_at, $6)
          FROM s, p WHERE u.id = s.id AND (s.status = 'pending' OR s.expires_at < now() + $6::interval / 2))
    SELECT {COLUMNS}, EXISTS (SELECT FROM p) AS stored,
      (SELECT etag FROM multipart_parts o WHERE o.session_id = s.id AND o.part_number = $3) AS old_etag
    FROM s""",  # noqa: S608 - constants of this module
)

_BEGIN = Statement(
    "complete_begin",
    f"""
    SELECT b.outcome, {COLUMNS}, s.job_acquired, b.missing, b.numbers, b.sizes, b.etags
    FROM complete_begin($1, $2, $3::upload_method, $4, $5, $6, $7) b, LATERAL (SELECT (b.session).*) s""",  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Registered:
    """The session a part was registered with; ``stored`` is False when the upload refused it."""

    session: Session
    stored: bool
    old_etag: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """``work`` is there when the outcome is begun."""

    outcome: CompleteOutcome
    session: Session
    missing: tuple[int, ...] = ()
    work: Work | None = None


class Parts:
    """Statements of direct uploads.

    Args:
        owner: lease owner of this process.
        lease: how long a job taken here is ours without renewal.
        ttl: life of an upload after its last activity.
    """

    def __init__(self, database: Database, owner: str, lease: timedelta, ttl: timedelta) -> None:
        self._db, self._owner, self._lease, self._ttl = database, owner, lease, ttl

    async def register(self, upload_uuid: UUID, user_id: UUID, part: RegisteredPart) -> Registered | None:
        row = await self._db.row(
            _REGISTER, upload_uuid, user_id, part.number, part.size_bytes, part.etag, self._ttl
        )
        return None if row is None else Registered(session_of(row), row["stored"], row["old_etag"])

    async def begin(self, upload_uuid: UUID, user_id: UUID, method: Method, etag: str | None) -> Begun | None:
        """Take state and job; ``etag`` is what the client says its object has."""
        holder = (self._owner, self._lease, self._ttl)
        row = await self._db.row(_BEGIN, upload_uuid, user_id, method, etag, *holder)
        if row is None or row["outcome"] is None:
            return None
        outcome, session = CompleteOutcome(row["outcome"]), session_of(row)
        if outcome is not CompleteOutcome.BEGUN:
            return Begun(outcome, session, tuple(row["missing"] or ()))
        columns = zip(row["numbers"] or (), row["sizes"] or (), row["etags"] or (), strict=True)
        parts = tuple(RegisteredPart(*one) for one in columns)
        return Begun(
            outcome, session, work=Work(session, etag=etag, parts=parts, acquired=row["job_acquired"])
        )
