"""The pool and the migrations on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.kit import db
from services.kit.db import Database, Statement, open_database
from services.kit.db_pools import POOLS
from services.kit.errors import Fault
from services.kit.metrics import DatabaseMetrics
from services.kit.migrate import MigrationError, migrate, read_folder

pytestmark = pytest.mark.integration

ONE = Statement("one", "SELECT 1 AS n")
SLEEP = Statement("sleep", "SELECT pg_sleep($1::float8)")
ENDS_ME = Statement("ends_me", "SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(params=POOLS)
async def database(
    request: pytest.FixtureRequest, database_url: str, registry: CollectorRegistry
) -> AsyncIterator[Database]:
    async with open_database(database_url, "test", DatabaseMetrics(registry), pool=request.param) as opened:
        yield opened


class TestDatabase:
    async def test_statements_are_counted_by_name(
        self, database: Database, registry: CollectorRegistry
    ) -> None:
        row = await database.row(ONE)
        assert row is not None
        assert row["n"] == 1
        assert len(await database.rows(ONE)) == 1
        assert await database.execute(Statement("make", "CREATE TABLE t (n int UNIQUE)")) == 0
        assert await database.execute(Statement("fill", "INSERT INTO t VALUES (1), (2)")) == 2
        text = generate_latest(registry).decode()
        assert 'db_query_seconds_count{statement="one"} 2.0' in text
        assert 'db_pool_connections{state="in_use"} 0.0' in text

    async def test_nothing_found_is_none(self, database: Database) -> None:
        assert await database.row(Statement("none", "SELECT 1 WHERE false")) is None

    async def test_violated_constraints_pass_through(self, database: Database) -> None:
        await database.execute(Statement("make", "CREATE TABLE t (n int UNIQUE)"))
        insert = Statement("fill", "INSERT INTO t VALUES (1)")
        await database.execute(insert)
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.execute(insert)

    async def test_a_transaction_is_all_or_nothing(self, database: Database) -> None:
        await database.execute(Statement("make", "CREATE TABLE t (n int)"))
        insert = Statement("fill", "INSERT INTO t VALUES (1) RETURNING n")
        with pytest.raises(ValueError, match="changed my mind"):
            async with database.transaction() as transaction:
                await transaction.row(insert)
                raise ValueError("changed my mind")
        assert await database.rows(Statement("all", "SELECT * FROM t")) == []
        async with database.transaction() as transaction:
            await transaction.row(insert)
        assert len(await database.rows(Statement("all", "SELECT * FROM t"))) == 1

    async def test_a_lost_connection_is_a_fault_and_the_next_one_works(self, database: Database) -> None:
        with pytest.raises(Fault, match="dependency_unavailable"):
            await database.row(ENDS_ME)
        assert await database.row(ONE) is not None

    async def test_no_connection_in_time_is_a_fault(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        busy = [asyncio.create_task(database.row(SLEEP, 30.0)) for _ in range(db.POOL_MAX)]
        while database._pool.free or database._pool.size < db.POOL_MAX:
            await asyncio.sleep(0.005)
        monkeypatch.setattr(database._pool, "_wait_s", 0.05)
        with pytest.raises(Fault, match="dependency_unavailable"):
            await database.row(ONE)
        monkeypatch.undo()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        assert await database.row(ONE) is not None

    async def test_a_schema_that_changes_under_a_prepared_statement(
        self, database: Database, database_url: str
    ) -> None:
        await database.execute(Statement("make", "CREATE TABLE t (n int)"))
        read = Statement("read", "SELECT * FROM t")
        for _ in range(4):
            await asyncio.gather(database.rows(read), database.rows(read))
        other = await asyncpg.connect(database_url)
        await other.execute("ALTER TABLE t ADD COLUMN m text")
        await other.close()
        assert await database.rows(read) == []


@pytest.mark.parametrize("pool", POOLS)
async def test_a_database_that_is_not_there(registry: CollectorRegistry, pool: str) -> None:
    nowhere = "postgresql://app:x@127.0.0.1:1/none"
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        async with open_database(nowhere, "test", DatabaseMetrics(registry), pool=pool):
            pass


class TestMigrations:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "0001_first.sql").write_text("CREATE TABLE a (n int); INSERT INTO a VALUES (1);")
        (tmp_path / "0002_second.sql").write_text("CREATE TABLE b (n int);")
        return tmp_path

    async def test_once_and_in_order(self, database_url: str, folder: Path) -> None:
        assert await migrate(database_url, folder, "test") == [1, 2]
        assert await migrate(database_url, folder, "test") == []
        (folder / "0003_third.sql").write_text("INSERT INTO b VALUES (5);")
        assert await migrate(database_url, folder, "test") == [3]

    async def test_two_replicas_at_once(self, database_url: str, folder: Path) -> None:
        done = await asyncio.gather(*(migrate(database_url, folder, "test") for _ in range(4)))
        assert sorted(done) == [[], [], [], [1, 2]]

    async def test_a_changed_file_stops_the_service(self, database_url: str, folder: Path) -> None:
        await migrate(database_url, folder, "test")
        (folder / "0001_first.sql").write_text("CREATE TABLE a (n bigint);")
        with pytest.raises(MigrationError, match=r"1 \(first\) changed"):
            await migrate(database_url, folder, "test")

    async def test_a_database_of_a_newer_program(self, database_url: str, folder: Path) -> None:
        await migrate(database_url, folder, "test")
        (folder / "0002_second.sql").unlink()
        with pytest.raises(MigrationError, match="version 2, this program knows 1"):
            await migrate(database_url, folder, "test")

    async def test_a_failing_file_leaves_nothing_of_itself(self, database_url: str, folder: Path) -> None:
        (folder / "0003_bad.sql").write_text("CREATE TABLE c (n int); SELECT nonsense;")
        with pytest.raises(asyncpg.UndefinedColumnError):
            await migrate(database_url, folder, "test")
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT max(version) FROM schema_migrations") == 2
        assert await connection.fetchval("SELECT to_regclass('c')") is None
        await connection.close()


@pytest.mark.parametrize("names", [["1_a.sql"], ["0001_A.sql"], ["0002_a.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_names_that_are_no_sequence(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError):
        read_folder(tmp_path)
