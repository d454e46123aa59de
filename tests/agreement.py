"""Whether store, databases and spool agree: after a sweep nothing is there that nothing explains.

``swept`` sweeps without waiting for any age, which ends every open upload; ``disagreements`` looks and
changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from loadtests.harness.commands.sweep import sweep_all
from loadtests.harness.ledger.evidence import OpenMultipart, StoredObject
from loadtests.harness.ledger.findings import upload_of_temporary
from loadtests.harness.ledger.store import FILES_PREFIX, TEMPORARY_PREFIX, AuditStore
from loadtests.harness.testbeds.connections import Databases, open_databases, open_store, read_endpoints
from loadtests.harness.testbeds.system import find_system
from tests.stack import System

SELF_TESTS_PREFIX = "selftest/"
SETTLE_S = 60.0
_SESSIONS = """SELECT s.upload_uuid, s.status::text AS status, s.storage_key, s.storage_upload_id,
    s.repack_upload_id, s.job_due_at IS NOT NULL AS has_job,
    EXISTS (SELECT FROM upload_chunks c WHERE c.session_id = s.id)
      OR EXISTS (SELECT FROM multipart_parts p WHERE p.session_id = s.id) AS has_chunks
  FROM upload_sessions s"""
_FILES = """SELECT file_uuid, storage_key, size_bytes, deleted_at IS NULL AS lives,
    deleted_at IS NOT NULL AND object_deleted_at IS NULL AS waits
  FROM files"""
_FINISHING = "SELECT count(*) FROM upload_sessions WHERE job_due_at IS NOT NULL"
_ENDED = frozenset({"completed", "aborted"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What both databases, the store and the spool hold at about one moment."""

    sessions: Collection[asyncpg.Record]
    files: Collection[asyncpg.Record]
    objects: Collection[StoredObject]
    temporary: Collection[StoredObject]
    uploads: Collection[OpenMultipart]
    spooled: Collection[Path]


async def swept(system: System) -> None:
    """One sweep of both services, once nothing is being finished any more."""
    env = {**system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}
    async with asyncio.timeout(SETTLE_S), open_databases(read_endpoints(env)) as databases:
        while await databases.upload.fetchval(_FINISHING):
            await asyncio.sleep(0.1)
    answers = await sweep_all(await asyncio.to_thread(find_system, env), older_than_s=0)
    assert [answer.problem for answer in answers] == ["", ""]


async def disagreements(system: System, *, lost: Collection[UUID] = ()) -> list[str]:
    """One line for each row without object, object without row, open multipart upload, chunk, spool file
    and job that no live upload or file explains.

    Args:
        lost: files whose objects a test took away on purpose.
    """
    spool = system.stack.run_dir / "spool"
    async with _looking(system) as (databases, store):
        seen = await _look(databases, store, spool)
    return [*_of_files(seen, lost), *_of_uploads(seen), *_of_sessions(seen)]


@asynccontextmanager
async def _looking(system: System) -> AsyncIterator[tuple[Databases, AuditStore]]:
    endpoints = read_endpoints(system.stack.env)
    store = AuditStore(open_store(endpoints), endpoints.s3_bucket)
    try:
        async with open_databases(endpoints) as databases:
            yield databases, store
    finally:
        store.close()


async def _look(databases: Databases, store: AuditStore, spool: Path) -> _Seen:
    """Objects before rows: a file that is deleted in between is then no row without object."""
    objects = await store.objects(FILES_PREFIX)
    temporary = (*await store.objects(TEMPORARY_PREFIX), *await store.objects(SELF_TESTS_PREFIX))
    sessions = await databases.upload.fetch(_SESSIONS)
    return _Seen(
        sessions,
        await databases.files.fetch(_FILES),
        objects,
        temporary,
        await store.multiparts(row["storage_key"] for row in sessions),
        _spooled(spool),
    )


def _spooled(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/*") if path.is_file()]


def _of_files(seen: _Seen, lost: Collection[UUID]) -> Iterator[str]:
    sizes = {stored.key: stored.size_bytes for stored in seen.objects}
    named = set()
    for row in seen.files:
        if row["lives"] or row["waits"]:
            named.add(row["storage_key"])
        if not row["lives"] or row["file_uuid"] in lost:
            continue
        if row["storage_key"] not in sizes:
            yield f"file {row['file_uuid']} has no object"
        elif sizes[row["storage_key"]] != row["size_bytes"]:
            there = sizes[row["storage_key"]]
            yield f"file {row['file_uuid']} has {row['size_bytes']} bytes, its object {there}"
    named |= {row["storage_key"] for row in seen.sessions if row["status"] not in _ENDED}
    yield from (f"object {key} has no row" for key in sizes if key not in named)


def _of_uploads(seen: _Seen) -> Iterator[str]:
    """What lies in the store and on disk for uploads that are not live."""
    live = {str(row["upload_uuid"]): row for row in seen.sessions if row["status"] not in _ENDED}
    known = {
        (row["storage_key"], upload_id)
        for row in live.values()
        for upload_id in (row["storage_upload_id"], row["repack_upload_id"])
    }
    for upload in seen.uploads:
        if (upload.key, upload.upload_id) not in known:
            yield f"multipart upload of {upload.key} is open"
    for stored in seen.temporary:
        if upload_of_temporary(stored.key) not in live:
            yield f"object {stored.key} belongs to no live upload"
    for path in seen.spooled:
        if path.parent.name not in live:
            yield f"spool file {path.parent.name}/{path.name} belongs to no live upload"


def _of_sessions(seen: _Seen) -> Iterator[str]:
    for row in seen.sessions:
        if row["status"] in _ENDED and row["has_job"]:
            yield f"{row['status']} upload {row['upload_uuid']} has a job"
        if row["status"] == "aborted" and row["has_chunks"]:
            yield f"aborted upload {row['upload_uuid']} has chunk rows"
