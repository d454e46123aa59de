"""Files that come whole, in one request: opened before their bytes, accepted or given up after them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.kit.db import Database, Statement
from services.upload.model import Method, OpenOutcome, RegisteredPart, Session, Work
from services.upload.repository.rows import COLUMNS, session_of

_OPEN = Statement(
    "file_open",
    f"""
    SELECT b.outcome, {COLUMNS}
    FROM open_file($1, $2, $3::upload_method, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) b,
      LATERAL (SELECT (b.session).*) s""",  # noqa: S608 - constants of this module
)

_ACCEPT = Statement(
    "file_accept",
    f"""
    WITH s AS (
      UPDATE upload_sessions AS s SET status = 'completing', file_size_bytes = $2, received_bytes = $2,
        mime_type = $3, checksum = $4, job_etag = $5, storage_upload_id = $6,
        job_due_at = now() + $8, lease_owner = $7, job_attempts = 1, job_created_at = now(),
        updated_at = now(), expires_at = now() + $9
      WHERE s.id = $1 AND s.status = 'pending' RETURNING s.*),
    parts AS (
      INSERT INTO multipart_parts (session_id, part_number, size_bytes, etag)
      SELECT s.id, p.number, p.size_bytes, p.etag
      FROM s, unnest($10::int[], $11::bigint[], $12::text[]) AS p (number, size_bytes, etag))
    SELECT {COLUMNS}, s.job_acquired FROM s""",  # noqa: S608
)

# Its key is free again: the client may send the file once more under it.
_GIVE_UP = Statement(
    "file_give_up",
    """
    UPDATE upload_sessions SET status = 'aborted', ended_at = clock_timestamp(), updated_at = now(),
      clean_after = now() + interval '120 s', idempotency_key = NULL, returned_key = idempotency_key,
      error_code = $2, error_message = $3
    WHERE id = $1 AND status = 'pending'""",
)

_RENEW = Statement(
    "poll_renew_receiving",
    """UPDATE upload_sessions SET expires_at = now() + $2, updated_at = now()
    WHERE id = ANY($1::bigint[]) AND status = 'pending'""",
)

_LOOK = Statement(
    "file_look",
    f"""SELECT {COLUMNS}, s.status = 'pending' AND s.expires_at > now() AS receiving
    FROM upload_sessions s WHERE s.id = $1""",  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class NewFile:
    """What an upload in one request is opened with; ``size_bytes`` and ``checksum`` as far as the client
    said them."""

    upload_uuid: UUID
    user_id: UUID
    method: Method
    file_name: str
    mime_type: str | None
    size_bytes: int | None
    checksum: str | None
    idempotency_key: str | None

    @property
    def storage_key(self) -> str:
        return f"users/{self.user_id}/{self.upload_uuid}"


@dataclass(frozen=True, slots=True)
class Received:
    """All bytes of a file: at its final key under ``etag``, or in parts of a store upload that only have
    to be joined; in neither if there are none."""

    size_bytes: int
    checksum: str
    mime_type: str
    etag: str | None = None
    store_upload_id: str | None = None
    parts: tuple[RegisteredPart, ...] = ()


class WholeUploads:
    """Statements of uploads in one request.

    Args:
        owner: lease owner of this process.
        lease: how long what is received here, or a job taken here, is ours without renewal.
        ttl: life of an upload that was received, until it is durable.
    """

    def __init__(self, database: Database, owner: str, lease: timedelta, ttl: timedelta) -> None:
        self._db, self._owner, self._lease, self._ttl = database, owner, lease, ttl

    async def open(self, new: NewFile, limit: int) -> tuple[OpenOutcome, Session | None]:
        """The session of this request; None when the user has too many open."""
        row = await self._db.row(
            _OPEN,
            *(new.upload_uuid, new.user_id, new.method, new.file_name, new.mime_type, new.size_bytes),
            *(new.checksum, new.idempotency_key, new.storage_key, self._lease, limit),
            *(self._owner, self._lease),
        )
        if row is None:
            raise LookupError("open_file returned no row")
        outcome = OpenOutcome(row["outcome"])
        return outcome, None if outcome is OpenOutcome.FULL else session_of(row)

    async def accept(self, session: Session, received: Received) -> Work | None:
        """Record what was received and take the job that makes it durable; None: it was aborted."""
        row = await self._db.row(
            _ACCEPT,
            *(session.id, received.size_bytes, received.mime_type, received.checksum, received.etag),
            *(received.store_upload_id, self._owner, self._lease, self._ttl),
            [part.number for part in received.parts],
            [part.size_bytes for part in received.parts],
            [part.etag for part in received.parts],
        )
        if row is None:
            return None
        return Work(
            session_of(row),
            etag=received.etag,
            parts=received.parts,
            checksum=received.checksum,
            acquired=row["job_acquired"],
        )

    async def give_up(self, session_id: int, code: str, message: str) -> bool:
        """The file did not come, or not as it was promised; False when the upload is not open."""
        return await self._db.execute(_GIVE_UP, session_id, code, message) > 0

    async def renew(self, session_ids: Collection[int]) -> None:
        await self._db.execute(_RENEW, list(session_ids), self._lease)

    async def look(self, session_id: int) -> tuple[Session, bool] | None:
        """The session now, and whether somebody is still receiving it; None: it is gone."""
        row = await self._db.row(_LOOK, session_id)
        return None if row is None else (session_of(row), row["receiving"])
