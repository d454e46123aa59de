"""Sessions: open, look at, list, abort, and what the store and the clients add to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.kit.db import Database, Statement
from services.upload.model import Method, NewSession, OpenOutcome, Session, State
from services.upload.repository.rows import COLUMNS, session_of

_OPEN = "ended_at IS NULL AND standing(upload_method, status, expires_at) NOT IN ('failed', 'aborted')"

# One statement: the idempotency key's row if there is one, else the limit, else the new row. A file of
# no bytes gets its job at once, because nothing will arrive that could make it.
_INSERT = Statement(
    "session_insert",
    f"""
    WITH old AS (SELECT {COLUMNS} FROM upload_sessions s WHERE user_id = $2 AND idempotency_key = $10),
    open AS (SELECT count(*) AS n FROM
             (SELECT FROM upload_sessions WHERE user_id = $2 AND {_OPEN} LIMIT $14) counted),
    fresh AS (
      INSERT INTO upload_sessions AS s (upload_uuid, user_id, upload_method, status, file_name, mime_type,
        file_size_bytes, part_size_bytes, total_chunks, finalise_mode, idempotency_key, storage_key,
        expires_at, urls_expire_at, last_part_bytes, storage_upload_id,
        lease_owner, job_due_at, job_created_at, job_attempts)
      SELECT $1, $2, $3::upload_method,
        CASE WHEN $6::bigint > 0 THEN 'pending' WHEN $3 = 'proxy' THEN 'assembling' ELSE 'completing' END
          ::upload_status,
        $4, $5, $6, $7, $8, $9, $10, $11, now() + $12, now() + $13, $17, $18,
        CASE WHEN $6 = 0 THEN $15 END, CASE WHEN $6 = 0 THEN now() + $16 END,
        CASE WHEN $6 = 0 THEN now() END, ($6 = 0)::int
      FROM open WHERE open.n < $14 AND NOT EXISTS (SELECT FROM old)
      ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
      RETURNING {COLUMNS})
    SELECT open.n >= $14 AS full, true AS created, fresh.* FROM open LEFT JOIN fresh ON true
      WHERE NOT EXISTS (SELECT FROM old)
    UNION ALL SELECT false, false, old.* FROM old""",  # noqa: S608 - constants of this module
)

_SAVE_UPLOAD = Statement(
    "session_store_upload",
    """
    UPDATE upload_sessions SET storage_upload_id = coalesce(storage_upload_id, $2), updated_at = now()
    WHERE id = $1 AND status = 'pending' RETURNING storage_upload_id""",
)

_UPLOAD_LOST = Statement("session_upload_lost", "SELECT store_upload_lost($1, $2, $3) AS state")

_EXTEND_URLS = Statement(
    "session_extend_urls",
    f"""
    WITH s AS (SELECT * FROM upload_sessions WHERE upload_uuid = $1 AND user_id = $2 FOR NO KEY UPDATE),
    u AS (UPDATE upload_sessions SET urls_expire_at = greatest(upload_sessions.urls_expire_at, now() + $4)
          FROM s WHERE upload_sessions.id = s.id AND s.upload_method = $3::upload_method
            AND standing(s.upload_method, s.status, s.expires_at) IN ('pending', 'uploading'))
    SELECT {COLUMNS}, now() + $4 AS until FROM s""",  # noqa: S608
)

_KEY_TAKEN = Statement(
    "session_key_taken",
    "UPDATE upload_sessions SET final_key_taken = true WHERE id = $1 AND status = 'pending'",
)

_STATUS = Statement(
    "session_status",
    f"""
    SELECT {COLUMNS},
      CASE s.upload_method
        WHEN 'multipart' THEN ARRAY(SELECT part_number FROM multipart_parts p WHERE p.session_id = s.id
                                    ORDER BY part_number)
        ELSE ARRAY(SELECT chunk_index FROM upload_chunks c WHERE c.session_id = s.id ORDER BY chunk_index)
      END AS stored,
      (SELECT sum(size_bytes) FROM multipart_parts p WHERE p.session_id = s.id)::bigint AS registered_bytes
    FROM upload_sessions s WHERE s.upload_uuid = $1 AND s.user_id = $2""",  # noqa: S608
)

_LIST = Statement(
    "session_list",
    f"""
    WITH own AS (SELECT * FROM upload_sessions WHERE user_id = $1 AND ($2 OR {_OPEN})),
    page AS (SELECT * FROM own ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4)
    SELECT {COLUMNS}, counted.total,
      (SELECT sum(size_bytes) FROM multipart_parts p WHERE p.session_id = s.id)::bigint AS registered_bytes
    FROM (SELECT count(*) AS total FROM own) counted LEFT JOIN page s ON true
    ORDER BY s.created_at DESC, s.id DESC""",  # noqa: S608
)

_ABORT = Statement(
    "session_abort",
    f"""
    WITH s AS (SELECT * FROM upload_sessions WHERE upload_uuid = $1 AND user_id = $2 FOR NO KEY UPDATE),
    u AS (UPDATE upload_sessions t SET status = 'aborted', ended_at = clock_timestamp(), updated_at = now(),
            clean_after = greatest(now() + interval '120 s', t.urls_expire_at + interval '60 s')
          FROM s WHERE t.id = s.id AND (s.status IN ('pending', 'failed')
            OR s.status = 'uploading' AND s.upload_method = 'multipart') RETURNING t.id)
    SELECT {COLUMNS}, EXISTS (SELECT FROM u) AS done FROM s""",  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Progress:
    """A session with what is stored of it: chunk indexes (proxy) or part numbers (multipart)."""

    session: Session
    received_bytes: int
    stored: tuple[int, ...] = ()


class Sessions:
    """Statements on ``upload_sessions``.

    Args:
        owner: lease owner of this process, for the job of a file without bytes.
    """

    def __init__(self, database: Database, owner: str, lease: timedelta) -> None:
        self._db, self._owner, self._lease = database, owner, lease

    async def insert(self, new: NewSession, limit: int) -> tuple[OpenOutcome, Session | None]:
        """The session of this request: a new one, or the one of its key; None when the user has too
        many open."""
        while True:
            row = await self._db.row(
                _INSERT,
                *(new.upload_uuid, new.user_id, new.method, new.file_name, new.mime_type),
                *(new.file_size_bytes, new.part_size_bytes, new.total_chunks, new.finalise_mode),
                *(new.idempotency_key, new.storage_key, new.ttl, new.urls_life, limit),
                *(self._owner, self._lease, new.last_part_bytes, new.storage_upload_id),
            )
            if row is not None and row["id"] is not None:
                outcome = OpenOutcome.CREATED if row["created"] else OpenOutcome.REPEATED
                return outcome, session_of(row)
            if row is None or row["full"]:
                return OpenOutcome.FULL, None
            # The same key was inserted between our look and our insert: look again.

    async def save_store_upload(self, session_id: int, upload_id: str) -> str | None:
        """Keep the id of a proxied upload in the store; the one that was first is returned. None: no
        longer open."""
        row = await self._db.row(_SAVE_UPLOAD, session_id, upload_id)
        return None if row is None else row["storage_upload_id"]

    async def store_upload_lost(self, session_id: int, upload_id: str, message: str) -> State | None:
        """The store dropped a proxied upload's multipart upload: the state of the session, which failed if
        parts were accepted and else goes on without one. None: it has ended or has another one."""
        row = await self._db.row(_UPLOAD_LOST, session_id, upload_id, message)
        return State(row["state"]) if row is not None and row["state"] else None

    async def extend_urls(
        self, upload_uuid: UUID, user_id: UUID, method: Method, life: timedelta
    ) -> tuple[Session, datetime] | None:
        """Before new URLs are handed out; changes nothing unless the upload is open."""
        row = await self._db.row(_EXTEND_URLS, upload_uuid, user_id, method, life)
        return None if row is None else (session_of(row), row["until"])

    async def key_taken(self, session_id: int) -> None:
        await self._db.execute(_KEY_TAKEN, session_id)

    async def status(self, upload_uuid: UUID, user_id: UUID) -> Progress | None:
        row = await self._db.row(_STATUS, upload_uuid, user_id)
        if row is None:
            return None
        session = session_of(row)
        return Progress(session, row["registered_bytes"] or session.received_bytes, tuple(row["stored"]))

    async def own(
        self, user_id: UUID, *, ended_too: bool, limit: int, offset: int
    ) -> tuple[list[Progress], int]:
        """A page of a user's sessions, newest first, and how many there are in all."""
        rows = await self._db.rows(_LIST, user_id, ended_too, limit, offset)
        page = []
        for row in rows:
            if row["id"] is not None:
                session = session_of(row)
                page.append(Progress(session, row["registered_bytes"] or session.received_bytes))
        return page, rows[0]["total"]

    async def abort(self, upload_uuid: UUID, user_id: UUID) -> tuple[Session, bool] | None:
        """The session as it was, and whether it was aborted now."""
        row = await self._db.row(_ABORT, upload_uuid, user_id)
        return None if row is None else (session_of(row), row["done"])
