"""The pool and the migrations on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.kit import db
from services.kit.db import Database, Statement, open_database
from services.kit.errors import Fault
from services.kit.metrics import DatabaseMetrics
from services.kit.migrate import MigrationError, migrate, read_folder
from services.kit.settings import PoolSize

pytestmark = pytest.mark.integration

ONE = Statement("one", "SELECT 1 AS n")
SLEEP = Statement("sleep", "SELECT pg_sleep($1::float8)")
ENDS_ME = Statement("ends_me", "SELECT pg_terminate_backend(pg_backend_pid())")
PID = Statement("pid", "SELECT pg_backend_pid() AS pid")
RAISES = Statement(
    "raises",
    "CREATE FUNCTION raises(state text) RETURNS void LANGUAGE plpgsql"
    " AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = state; END $$",
)
# Lost connections, deadlocks, a full disk or memory, a stop or a crash, input and output, damage.
TRANSIENT = [
    "08006",
    "40001",
    "40P01",
    "53100",
    "53200",
    "53300",
    "57014",
    "57P01",
    "57P03",
    "58030",
    "XX001",
]
RUNNING = Statement(
    "running",
    "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%'"
    " AND state = 'active' AND pid <> pg_backend_pid()",
)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def database(database_url: str, registry: CollectorRegistry) -> AsyncIterator[Database]:
    async with open_database(database_url, "test", DatabaseMetrics(registry)) as opened:
        yield opened


async def pid(database: Database) -> int:
    row = await database.row(PID)
    assert row is not None
    return int(row["pid"])


async def running(database: Database) -> int:
    """Statements that sleep, as the server sees it."""
    row = await database.row(RUNNING)
    assert row is not None
    return int(row["n"])


class Link:
    """A way to the database that can be cut, and that can fall silent."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target, self._port = (parts.hostname, parts.port), 0
        self._netloc, self._url = parts.netloc, url
        self._writers: set[asyncio.StreamWriter] = set()
        self._heard = asyncio.Event()
        self._heard.set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return self._url.replace(self._netloc, f"{self._netloc.rpartition('@')[0]}@127.0.0.1:{self._port}")

    async def join(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._heard.set()  # who waits to pass something on has nobody left
        while self._writers:
            await asyncio.sleep(0)

    def silence(self) -> None:
        self._heard.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._target)
        self._writers |= {writer, forth}
        try:
            await asyncio.gather(self._pass(reader, forth), self._pass(back, writer))
        except ConnectionError:
            pass
        finally:
            for one in (writer, forth):
                self._writers.discard(one)
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._heard.wait()
            if writer.is_closing():
                return
            writer.write(data)
        writer.close()


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[Link]:
    link = Link(url)
    await link.join()
    try:
        yield link
    finally:
        await link.cut()


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

    @pytest.mark.parametrize("state", [*TRANSIENT, "25006"])
    async def test_a_server_that_cannot_now_is_a_fault(self, database: Database, state: str) -> None:
        await database.execute(RAISES)
        before = await pid(database)
        with pytest.raises(Fault, match="dependency_unavailable"):
            await database.row(Statement("raise", "SELECT raises($1)"), state)
        assert (await pid(database) == before) is (state != "25006")

    async def test_after_a_failover_connections_lead_to_the_server_that_takes_writes(
        self, database: Database, database_url: str
    ) -> None:
        await database.execute(Statement("make", "CREATE TABLE t (n int)"))
        name, fill = urlsplit(database_url).path[1:], Statement("fill", "INSERT INTO t VALUES (1)")
        demote = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        await database.execute(Statement("demote", demote))
        async with open_database(database_url, "test", DatabaseMetrics(CollectorRegistry())) as failed_over:
            with pytest.raises(Fault, match="dependency_unavailable"):
                await failed_over.execute(fill)
            await database.execute(Statement("promote", f"ALTER DATABASE {name} RESET ALL"))
            assert await failed_over.execute(fill) == 1

    async def test_a_deadlock_is_a_fault_for_one_of_the_two(self, database: Database) -> None:
        await database.execute(Statement("make", "CREATE TABLE t (n int PRIMARY KEY)"))
        await database.execute(Statement("fill", "INSERT INTO t VALUES (1), (2)"))
        lock = Statement("lock", "SELECT 1 FROM t WHERE n = $1 FOR UPDATE")
        first = asyncio.Barrier(2)

        async def both(one: int, other: int) -> None:
            async with database.transaction() as transaction:
                await transaction.row(lock, one)
                await first.wait()
                await transaction.row(lock, other)

        results = await asyncio.gather(both(1, 2), both(2, 1), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Fault", "NoneType"]

    @pytest.mark.parametrize("state", ["22012", "42501", "P0001"])
    async def test_a_fault_of_ours_passes_through(self, database: Database, state: str) -> None:
        await database.execute(RAISES)
        with pytest.raises(asyncpg.PostgresError) as caught:
            await database.row(Statement("raise", "SELECT raises($1)"), state)
        assert caught.value.sqlstate == state

    async def test_no_connection_in_time_is_a_fault(
        self, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        busy = [asyncio.create_task(database.row(SLEEP, 30.0)) for _ in range(PoolSize().most)]
        async with open_database(database_url, "test", DatabaseMetrics(CollectorRegistry())) as other:
            while await running(other) < PoolSize().most:
                await asyncio.sleep(0.005)
            monkeypatch.setattr(db, "POOL_WAIT_S", 0.05)
            with pytest.raises(Fault, match="dependency_unavailable"):
                await database.row(ONE)
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
            assert await running(other) == 0  # the server was told
        assert await database.row(ONE) is not None

    async def test_one_after_another_use_one_connection(self, database: Database) -> None:
        assert len({await pid(database) for _ in range(20)}) == 1

    async def test_a_burst_is_served_in_order(self, database: Database) -> None:
        ended: list[int] = []

        async def one(number: int) -> None:
            await database.row(SLEEP, 0.0005)
            ended.append(number)

        await asyncio.gather(*(one(number) for number in range(200)))
        assert sorted(ended) == list(range(200))
        late = sorted(abs(place - number) for place, number in enumerate(ended))
        assert late[180] <= PoolSize().most  # but for the first ones, whose connections were opened for them

    async def test_a_cancelled_wait_costs_nothing(self, database: Database) -> None:
        busy = [asyncio.create_task(database.row(SLEEP, 0.1)) for _ in range(PoolSize().most)]
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(pid(database)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(*busy)
        waiting[1].cancel()  # it may already have been handed a connection
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert isinstance(results[2], int)
        assert len(await asyncio.gather(*(database.row(ONE) for _ in range(2 * PoolSize().most)))) == 40

    async def test_an_open_transaction_is_not_handed_on(self, database: Database, database_url: str) -> None:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what["message"]))
        before = await pid(database)
        await database.execute(Statement("begin", "BEGIN"))
        assert await pid(database) == before
        await database.execute(Statement("make", "CREATE TABLE t (n int)"))
        other = await asyncpg.connect(database_url)
        assert await other.fetchval("SELECT count(*) FROM t") == 0  # it is there: nothing holds it back
        await other.close()
        assert "active transaction" in complaints[0]

    async def test_a_refused_statement_keeps_its_connection(self, database: Database) -> None:
        before = await pid(database)
        with pytest.raises(asyncpg.UndefinedTableError):
            await database.row(Statement("none", "SELECT * FROM nowhere"))
        assert await pid(database) == before

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


async def test_a_database_that_is_not_there(registry: CollectorRegistry) -> None:
    nowhere = "postgresql://app:x@127.0.0.1:1/none"
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        async with open_database(nowhere, "test", DatabaseMetrics(registry)):
            pass


async def test_a_database_that_went_away_is_a_fault_for_each_until_it_is_back(
    database_url: str, registry: CollectorRegistry
) -> None:
    async with (
        linked(database_url) as link,
        open_database(link.url, "test", DatabaseMetrics(registry)) as database,
    ):
        await link.cut()
        results = await asyncio.gather(*(pid(database) for _ in range(30)), return_exceptions=True)
        assert {type(result) for result in results} == {Fault}
        await link.join()
        assert await pid(database)


async def test_a_server_that_falls_silent_is_a_fault(
    database_url: str, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "STATEMENT_S", 1.0)
    async with (
        linked(database_url) as link,
        open_database(link.url, "test", DatabaseMetrics(registry)) as database,
    ):
        await database.row(ONE)
        link.silence()
        async with asyncio.timeout(10):  # less than by itself
            with pytest.raises(Fault, match="dependency_unavailable"):
                await database.row(ONE)
        await link.cut()


async def test_closing_waits_for_what_runs(database_url: str, registry: CollectorRegistry) -> None:
    async with open_database(database_url, "test", DatabaseMetrics(registry)) as opened:
        running = asyncio.create_task(opened.row(SLEEP, 0.1))
        await asyncio.sleep(0)
    assert await running is not None


async def test_unprepared_statements_leave_nothing_prepared(database_url: str) -> None:
    metrics = DatabaseMetrics(CollectorRegistry())
    count = Statement("count", "SELECT count(*) AS n FROM pg_prepared_statements WHERE name <> $1")
    for prepared in (True, False):
        async with open_database(database_url, "test", metrics, prepared=prepared) as opened:
            found = [await opened.row(count, "") for _ in range(3)]
        assert found[-1] is not None
        assert (found[-1]["n"] > 0) is prepared


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

    async def test_the_time_limit_of_the_services_is_none_of_a_migration(
        self, database_url: str, folder: Path
    ) -> None:
        """Nor of the wait of a replica for the one that migrates: large tables take as long as they take."""
        limit = (
            "EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET statement_timeout = %L', d, '10s')"
        )
        (folder / "0002_second.sql").write_text(
            f"DO $$ DECLARE d text := current_database(); BEGIN {limit}; END $$"
        )
        await migrate(database_url, folder, "test")
        (folder / "0003_third.sql").write_text(
            "CREATE TABLE seen AS SELECT current_setting('statement_timeout') AS limited_to"
        )
        await migrate(database_url, folder, "test")
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT limited_to FROM seen") == "0"
        await connection.close()

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
