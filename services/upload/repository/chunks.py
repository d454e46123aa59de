"""Chunks of a proxied upload: the look before the body, and the record after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.kit.db import Database, Statement
from services.upload.model import (
    MAX_PARTS,
    MIN_PART_BYTES,
    ChunkOutcome,
    Opened,
    Send,
    Session,
    Source,
    State,
)
from services.upload.repository.rows import COLUMNS, session_of

_FOUND = "FROM upload_sessions s LEFT JOIN upload_chunks c ON c.session_id = s.id AND c.chunk_index = $3"
_JUDGED = (
    "judge_chunk(s.upload_method, standing(s.upload_method, s.status, s.expires_at), s.file_size_bytes,"
    " s.received_bytes, s.received_chunks,"
    " s.max_chunk_index, c.size_bytes, c.checksum, $3, $4, NULL)"
)
_LOOK = f"""SELECT {COLUMNS}, c.size_bytes AS stored_bytes, c.checksum AS stored_checksum,
      {_JUDGED} AS outcome"""

_OPEN = Statement(
    "chunk_open",
    f"{_LOOK}, NULL::int AS slot {_FOUND} WHERE s.upload_uuid = $1 AND s.user_id = $2",
)

# The same, and a slot for a chunk that the store can take as a part: at least the smallest part, or
# what ends the file. Too few part numbers per index, or a chunk that is the whole file: no slot.
_OPEN_PART = Statement(
    "chunk_open_part",
    f"""
    WITH claimed AS (
      INSERT INTO chunk_slots (session_id, chunk_index, next_slot)
      SELECT s.id, $3, 1 {_FOUND} WHERE s.upload_uuid = $1 AND s.user_id = $2
        AND {_JUDGED} IN ('stored', 'replaced')
        AND $4 < s.file_size_bytes AND $3 < s.total_chunks AND s.total_chunks <= {MAX_PARTS // 2}
        AND ($4 >= {MIN_PART_BYTES}
          OR (s.received_bytes + $4 = s.file_size_bytes AND $3 > s.max_chunk_index))
      ON CONFLICT (session_id, chunk_index) DO UPDATE SET next_slot = chunk_slots.next_slot + 1
      RETURNING next_slot - 1 AS slot)
    {_LOOK}, (SELECT slot FROM claimed) AS slot {_FOUND} WHERE s.upload_uuid = $1 AND s.user_id = $2
    """,  # noqa: S608
)

_ACCEPT = Statement(
    "chunk_accept", "SELECT * FROM accept_chunk($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)

_MISSING = Statement("chunk_missing", "SELECT missing_chunks($1, $2, $3) AS missing")


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that were received: their hash, and where they are; no ``location`` if nothing was stored."""

    size_bytes: int
    checksum: str
    location: str | None = None
    etag: str | None = None
    mime_type: str | None = None  # what the bytes of a first chunk show


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a chunk; ``sources`` are there when it made the upload complete, and with them the
    type that was decided for the file and the number under which its job was taken."""

    outcome: ChunkOutcome
    state: State | None
    received_bytes: int
    replaced: Source | None
    missing: tuple[int, ...]
    sources: tuple[Source, ...]
    store_upload_id: str | None
    mime_type: str | None
    acquired: int

    @property
    def complete(self) -> bool:
        return bool(self.sources)


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
        statement = _OPEN_PART if claim else _OPEN
        row = await self._db.row(statement, send.upload_uuid, send.user_id, send.index, send.size_bytes)
        if row is None:
            return None
        return Opened(
            session_of(row),
            ChunkOutcome(row["outcome"]),
            row["stored_bytes"],
            row["stored_checksum"],
            row["slot"],
        )

    async def accept(self, send: Send, stored: Stored) -> Accepted:
        row = await self._db.row(
            _ACCEPT,
            *(send.upload_uuid, send.user_id, send.index, stored.size_bytes, stored.checksum),
            *(stored.location, stored.etag, stored.mime_type, MIN_PART_BYTES),
            *(self._owner, self._lease, self._ttl),
        )
        if row is None:
            raise LookupError("accept_chunk returned no row")
        return _accepted(row)

    async def missing(self, session: Session, index: int) -> tuple[int, ...]:
        """Indexes up to the highest that are not stored, ``index`` apart; the first 100."""
        row = await self._db.row(_MISSING, session.id, session.max_chunk_index, index)
        return tuple(row["missing"]) if row else ()


def _accepted(row: Any) -> Accepted:
    columns = (row["sizes"], row["locations"], row["etags"])
    sources = tuple(Source(*one) for one in zip(*columns, strict=True)) if row["sizes"] else ()
    return Accepted(
        outcome=ChunkOutcome(row["outcome"]),
        state=State(row["state"]) if row["state"] else None,
        received_bytes=row["received"] or 0,
        replaced=Source(0, row["replaced"], None) if row["replaced"] else None,
        missing=tuple(row["missing"] or ()),
        sources=sources,
        store_upload_id=row["store_upload"],
        mime_type=row["decided_type"],
        acquired=row["acquired"] or 0,
    )
