"""The audit's SQL: read-only, and only the columns that the services' own migrations make."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

import asyncpg

from loadtests.harness.ledger.evidence import FileRow, SessionRow
from loadtests.harness.records.vocabulary import EMAIL_DOMAIN

OFFSET_SAMPLES = 5

_USERS = "SELECT id FROM users WHERE email LIKE '%@' || $1"

_SESSIONS = """
SELECT s.upload_uuid, s.user_id, s.upload_method::text AS method, s.status::text AS status,
       s.file_size_bytes AS size_bytes, s.storage_key, s.storage_upload_id, s.checksum, s.etag,
       s.idempotency_key, s.returned_key, extract(epoch FROM s.ended_at)::float8 AS ended_at, s.error_code,
       c.bytes AS chunk_bytes, p.bytes AS part_bytes,
       CASE WHEN s.job_due_at IS NULL THEN NULL WHEN s.lease_owner IS NULL THEN 'queued' ELSE 'running' END
         AS job_state,
       coalesce(c.spool_paths, '{}') AS spool_paths
FROM upload_sessions s
LEFT JOIN (SELECT session_id, sum(size_bytes)::bigint AS bytes,
                  array_agg(substr(location, 7)) FILTER (WHERE location LIKE 'spool:%') AS spool_paths
           FROM upload_chunks GROUP BY session_id) c ON c.session_id = s.id
LEFT JOIN (SELECT session_id, sum(size_bytes)::bigint AS bytes
           FROM multipart_parts GROUP BY session_id) p ON p.session_id = s.id
WHERE s.user_id = ANY($1::uuid[])
ORDER BY s.id
"""

_FILES = """
SELECT file_uuid, upload_uuid, user_id, size_bytes, storage_key, checksum, etag,
       extract(epoch FROM visible_at)::float8 AS visible_at,
       deleted_at IS NOT NULL OR voided_at IS NOT NULL AS deleted
FROM files WHERE user_id = ANY($1::uuid[])
"""

_OTHER_FILES = """
SELECT file_uuid FROM files
WHERE user_id <> ALL($1::uuid[]) AND deleted_at IS NULL AND voided_at IS NULL
"""


async def harness_users(auth_db: asyncpg.Connection) -> frozenset[UUID]:
    """Every identity with an address in the reserved domain."""
    rows = await auth_db.fetch(_USERS, EMAIL_DOMAIN)
    return frozenset(row["id"] for row in rows)


async def sessions_of(upload_db: asyncpg.Connection, users: Collection[UUID]) -> tuple[SessionRow, ...]:
    rows = await upload_db.fetch(_SESSIONS, list(users))
    return tuple(SessionRow(**{**row, "spool_paths": tuple(row["spool_paths"])}) for row in rows)


async def files_of(files_db: asyncpg.Connection, users: Collection[UUID]) -> tuple[FileRow, ...]:
    rows = await files_db.fetch(_FILES, list(users))
    return tuple(FileRow(**row) for row in rows)


async def other_file_ids(files_db: asyncpg.Connection, users: Collection[UUID]) -> frozenset[UUID]:
    """Live files of everybody else."""
    rows = await files_db.fetch(_OTHER_FILES, list(users))
    return frozenset(row["file_uuid"] for row in rows)


async def clock_offsets(
    databases: Mapping[str, asyncpg.Connection], clock: Callable[[], float] = time.time
) -> tuple[dict[str, float], float]:
    """Each database's clock minus ours in seconds, and the largest uncertainty (half a round trip)."""
    offsets: dict[str, float] = {}
    error_s = 0.0
    for name, connection in databases.items():
        tries = [await _offset(connection, clock) for _ in range(OFFSET_SAMPLES)]
        half_trip_s, offsets[name] = min(tries)
        error_s = max(error_s, half_trip_s)
    return offsets, error_s


async def _offset(connection: asyncpg.Connection, clock: Callable[[], float]) -> tuple[float, float]:
    before = clock()
    theirs = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    after = clock()
    return (after - before) / 2, theirs - (before + after) / 2
