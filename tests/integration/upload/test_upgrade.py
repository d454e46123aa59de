"""A database of the version before: jobs that were under way go on in the rows of their uploads."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from services.kit.migrate import migrate
from services.upload.app import MIGRATIONS

pytestmark = pytest.mark.integration

_SESSION = """INSERT INTO upload_sessions (upload_uuid, user_id, upload_method, status, file_name,
    file_size_bytes, part_size_bytes, total_chunks, storage_key, expires_at)
  VALUES ($1, $2, $3::upload_method, $4::upload_status, 'a.bin', 12, 5, 3, gen_random_uuid()::text,
    now() + interval '1 day')
  RETURNING id"""
_JOB = """INSERT INTO finalise_jobs (session_id, state, step, etag, attempts, lease_owner, lease_until)
  VALUES ($1, $2, $3, '"e"', 2, 'upload/1', now() + interval '20 s')"""


@pytest.mark.parametrize(
    ("session", "job", "expected"),
    [
        (("proxy", "assembling"), ("running", "register"), (True, "upload/1", "assemble")),
        (("proxy", "assembling"), ("queued", "joined"), (True, None, "joined")),
        (("multipart", "completing"), ("running", "verify"), (True, "upload/1", "assemble")),
        (("multipart", "completed"), ("done", "store"), (False, None, "store")),
    ],
)
async def test_jobs_move_into_their_uploads(
    database_url: str,
    tmp_path: Path,
    session: tuple[str, str],
    job: tuple[str, str],
    expected: tuple[bool, str | None, str],
) -> None:
    for before in sorted(MIGRATIONS.glob("000[12]_*.sql")):
        shutil.copy(before, tmp_path)
    assert await migrate(database_url, tmp_path, "test") == [1, 2]
    connection = await asyncpg.connect(database_url)
    try:
        upload_uuid = uuid4()
        session_id = await connection.fetchval(_SESSION, upload_uuid, uuid4(), *session)
        await connection.execute(_JOB, session_id, *job)
        assert (await migrate(database_url, MIGRATIONS, "test"))[0] == 3
        row = await connection.fetchrow("SELECT * FROM upload_sessions WHERE id = $1", session_id)
    finally:
        await connection.close()
    assert row is not None
    assert (row["job_due_at"] is not None, row["lease_owner"], row["job_step"]) == expected
    assert (row["job_attempts"], row["job_etag"]) == (2, '"e"')
    assert row["last_part_bytes"] == (2 if session[0] == "multipart" else None)
