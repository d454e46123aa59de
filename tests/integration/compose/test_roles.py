"""What each role may do in a database: in a new one, and in one where the administrator owned everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from compose.roles import give_roles
from services.kit.migrate import migrate
from tests.stack import Backends

pytestmark = pytest.mark.integration
MIGRATIONS = Path(__file__).resolve().parents[3] / "services" / "upload" / "migrations"
PASSWORDS = {"service": "s" * 8, "migrator": 'it\'s \\ "m"', "monitor": "o" * 8}
INSERT = """
INSERT INTO upload_sessions
  (upload_uuid, user_id, upload_method, file_name, total_chunks, storage_key, expires_at)
VALUES (gen_random_uuid(), gen_random_uuid(), 'proxy', 'a', 1, 'key', now() + '1 day') RETURNING id
"""
ACCEPT = """
SELECT outcome FROM accept_chunk((SELECT upload_uuid FROM upload_sessions WHERE id = $1),
  gen_random_uuid(), 0, 1, '', '', '', '', 1, '', '1 s', '1 s')
"""


def as_role(url: str, role: str) -> str:
    place = urlsplit(url)
    login = f"{role}:{quote(PASSWORDS[role], safe='')}@{place.hostname}:{place.port}"
    return urlunsplit(place._replace(netloc=login))


@pytest.fixture(params=["new", "of the version before"])
async def url(request: pytest.FixtureRequest, backends: Backends) -> AsyncIterator[str]:
    """A database with its roles, after the services have migrated it."""
    async with backends.database() as administrator:
        if request.param != "new":
            await migrate(administrator, MIGRATIONS, "upload")
            old = await asyncpg.connect(administrator)
            await old.execute(INSERT)
            await old.close()
        await asyncio.gather(*(give_roles(administrator, PASSWORDS) for _ in range(2)))
        await migrate(as_role(administrator, "migrator"), MIGRATIONS, "upload")
        yield administrator


async def refused(connection: asyncpg.Connection, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_a_service_works_with_rows_and_nothing_else(url: str) -> None:
    service = await asyncpg.connect(as_role(url, "service"))
    try:
        row = await service.fetchval(INSERT)
        assert await service.fetchval(ACCEPT, row) == "gone"
        assert await service.execute("UPDATE upload_sessions SET received_bytes = 1 WHERE id = $1", row)
        assert await service.execute("DELETE FROM upload_sessions WHERE id = $1", row) == "DELETE 1"
        assert await service.fetchval("SHOW statement_timeout") == "10s"
        assert await service.fetchval("SHOW enable_seqscan") == "off"
        await refused(
            service,
            "CREATE TABLE more (one int)",
            "CREATE TEMP TABLE more (one int)",
            "ALTER TABLE upload_chunks ADD COLUMN more int",
            "DROP TABLE upload_chunks",
            "TRUNCATE upload_chunks",
            "CREATE ROLE more",
            "SET ROLE migrator",
            "SELECT pg_read_file('/etc/hostname')",
            "COPY upload_chunks TO PROGRAM 'cat'",
            "ALTER SYSTEM SET work_mem = '1GB'",
        )
    finally:
        await service.close()


async def test_the_migrator_changes_its_database_and_no_role(url: str) -> None:
    migrator = await asyncpg.connect(as_role(url, "migrator"))
    try:
        for statement in (
            "ALTER TABLE upload_sessions ADD COLUMN more int",
            "DROP FUNCTION accept_chunk",
            "ALTER TYPE upload_status ADD VALUE 'more'",
            "CREATE TABLE more (id bigint GENERATED ALWAYS AS IDENTITY, one int)",
        ):
            await migrator.execute(statement)
        await refused(migrator, "CREATE ROLE more", "SELECT pg_read_file('/etc/hostname')", "CHECKPOINT")
    finally:
        await migrator.close()
    service = await asyncpg.connect(as_role(url, "service"))
    try:
        await service.execute("INSERT INTO more (one) VALUES (1)")  # of a later migration
    finally:
        await service.close()


async def test_the_monitor_reads_statistics_and_no_row(url: str) -> None:
    monitor = await asyncpg.connect(as_role(url, "monitor"))
    try:
        assert await monitor.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query IS NOT NULL") > 0
        assert await monitor.fetchval("SELECT count(*) FROM pg_stat_user_tables") > 0
        await refused(monitor, "SELECT FROM upload_sessions", "DELETE FROM upload_sessions")
    finally:
        await monitor.close()
