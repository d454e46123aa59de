"""Chunks of a proxied upload: the look before the body, and the record after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.kit.db import Database, Statement
from services.upload.model import MIN_PART_BYTES, Opened, Send, Source, State, Step
from services.upload.repository.rows import COLUMNS, session_of

_OPEN = Statement(
    "chunk_open",
    f"""
    SELECT {COLUMNS}, c.size_bytes AS stored_bytes, c.checksum AS stored_checksum, NULL::int AS slot
    FROM upload_sessions s LEFT JOIN upload_chunks c ON c.session_id = s.id AND c.chunk_index = $3
    WHERE s.upload_uuid = $1 AND s.user_id = $2""",  # noqa: S608 - constants of this module
)

# The same, and a slot for a chunk that the store can take as a part: at least the smallest part, or
# what ends the file. Too few part numbers per index, or a chunk that is the whole file: no slot.
_OPEN_PART = Statement(
    "chunk_open_part",
    f"""
    WITH s AS (SELECT * FROM upload_sessions WHERE upload_uuid = $1 AND user_id = $2),
    claimed AS (
      INSERT INTO chunk_slots (session_id, chunk_index, next_slot)
      SELECT id, $3, 1 FROM s
      WHERE upload_method = 'proxy' AND status = 'pending' AND $4 < file_size_bytes
        AND $3 < total_chunks AND total_chunks <= 5000
        AND received_bytes + $4 <= file_size_bytes
        AND ($4 >= {MIN_PART_BYTES} OR (received_bytes + $4 = file_size_bytes AND $3 > max_chunk_index))
      ON CONFLICT (session_id, chunk_index) DO UPDATE SET next_slot = chunk_slots.next_slot + 1
      RETURNING next_slot - 1 AS slot)
    SELECT {COLUMNS}, c.size_bytes AS stored_bytes, c.checksum AS stored_checksum, claimed.slot
    FROM s LEFT JOIN upload_chunks c ON c.session_id = s.id AND c.chunk_index = $3 LEFT JOIN claimed ON true
    """,  # noqa: S608
)

_ACCEPT = Statement(
    "chunk_accept", "SELECT * FROM accept_chunk($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)

_MISSING = Statement(
    "chunk_missing",
    """
    SELECT ARRAY(SELECT i FROM generate_series(0, $2::int) i WHERE i <> $3 AND NOT EXISTS
      (SELECT FROM upload_chunks c WHERE c.session_id = $1 AND c.chunk_index = i)
      ORDER BY i LIMIT 100) AS missing""",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that were received: their hash, and where they are; no ``location`` if nothing was stored."""

    size_bytes: int
    checksum: str
    location: str | None = None
    etag: str | None = None
    mime_type: str | None = None  # found by content, for a name that implies none


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a chunk.

    ``outcome``: stored, replaced, duplicate, empty; join, done or requeued when all bytes were in
    before; gone, aborted, failed, conflict, not_open, too_large, gap or send_again when refused.
    ``sources`` and ``step`` are there when this chunk made the upload complete.
    """

    outcome: str
    state: State | None
    received_bytes: int
    replaced: Source | None
    missing: tuple[int, ...]
    sources: tuple[Source, ...]
    step: Step | None
    etag: str | None
    store_upload_id: str | None

    @property
    def complete(self) -> bool:
        return self.step is not None


class Chunks:
    """Statements on chunks.

    Args:
        owner: lease owner of this process.
        lease: how long a job taken here is ours without renewal.
        ttl: life of an upload after its last activity.
    """

    def __init__(self, database: Database, owner: str, lease: timedelta, ttl: timedelta) -> None:
        self._db, self._owner, self._lease, self._ttl = database, owner, lease, ttl

    async def open(self, send: Send, *, claim: bool) -> Opened | None:
        """The session and what is stored at this index; with ``claim`` also a slot, if it can be a part."""
        if claim:
            row = await self._db.row(_OPEN_PART, send.upload_uuid, send.user_id, send.index, send.size_bytes)
        else:
            row = await self._db.row(_OPEN, send.upload_uuid, send.user_id, send.index)
        if row is None:
            return None
        return Opened(session_of(row), row["stored_bytes"], row["stored_checksum"], row["slot"])

    async def accept(self, send: Send, stored: Stored) -> Accepted:
        row = await self._db.row(
            _ACCEPT,
            *(send.upload_uuid, send.user_id, send.index, stored.size_bytes, stored.checksum),
            *(stored.location, stored.etag, stored.mime_type, self._owner, self._lease, self._ttl),
        )
        if row is None:
            raise LookupError("accept_chunk returned no row")
        return _accepted(row)

    async def missing(self, session_id: int, top: int, index: int) -> tuple[int, ...]:
        """Indexes up to ``top`` that are not stored, ``index`` apart; the first 100."""
        row = await self._db.row(_MISSING, session_id, top, index)
        return tuple(row["missing"]) if row else ()


def _accepted(row: Any) -> Accepted:
    columns = (row["sizes"], row["locations"], row["etags"])
    sources = tuple(Source(*one) for one in zip(*columns, strict=True)) if row["sizes"] else ()
    return Accepted(
        outcome=row["outcome"],
        state=State(row["state"]) if row["state"] else None,
        received_bytes=row["received"] or 0,
        replaced=Source(0, row["replaced"], None) if row["replaced"] else None,
        missing=tuple(row["missing"] or ()),
        sources=sources,
        step=Step(row["job_step"]) if row["job_step"] else None,
        etag=row["job_etag"],
        store_upload_id=row["store_upload"],
    )
