"""Our own pool of database connections, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from services.kit import db_pool
from services.kit.db import Database, Statement, open_database
from services.kit.db_pool import OwnPool
from services.kit.errors import Fault
from services.kit.metrics import DatabaseMetrics

pytestmark = pytest.mark.integration
PID = Statement("pid", "SELECT pg_backend_pid() AS pid")
SLEEP = Statement("sleep", "SELECT pg_sleep($1::float8)")
BEGIN = Statement("begin", "BEGIN")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    metrics = DatabaseMetrics(CollectorRegistry())
    async with open_database(database_url, "test", metrics, pool="own") as opened:
        yield opened


async def pid(database: Database) -> int:
    row = await database.row(PID)
    assert row is not None
    return int(row["pid"])


def own(database: Database) -> OwnPool:
    assert isinstance(database._pool, OwnPool)
    return database._pool


async def test_one_after_another_use_one_connection(database: Database) -> None:
    assert len({await pid(database) for _ in range(20)}) == 1
    assert (own(database).size, own(database).free) == (1, 1)


async def test_a_burst_is_served_in_order_and_by_few_connections(database: Database) -> None:
    ended: list[int] = []

    async def one(number: int) -> None:
        await database.row(SLEEP, 0.0005)
        ended.append(number)

    held = asyncio.create_task(database.row(SLEEP, 0.01))
    await asyncio.sleep(0)
    await asyncio.gather(held, *(one(number) for number in range(200)))
    assert sorted(ended) == list(range(200))
    late = max(abs(place - number) for place, number in enumerate(ended))
    assert late <= 20  # nobody is overtaken by more than there are connections
    assert own(database).size <= 20


async def test_a_cancelled_statement_costs_its_connection(database: Database) -> None:
    before = await pid(database)
    running = asyncio.create_task(database.row(SLEEP, 30.0))
    while own(database).free:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert own(database).size == 0
    assert await pid(database) != before


async def test_a_cancelled_wait_costs_nothing(database: Database) -> None:
    pool = own(database)
    pool.limit = 1
    running = asyncio.create_task(database.row(SLEEP, 0.1))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(pid(database)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await running
    waiting[1].cancel()  # it may already have been handed the connection
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[2], int)
    assert (pool.size, pool.free) == (1, 1)


async def test_an_open_transaction_is_not_handed_on(database: Database) -> None:
    before = await pid(database)
    await database.execute(BEGIN)
    assert own(database).size == 0
    assert await pid(database) != before


async def test_a_refused_statement_keeps_its_connection(database: Database) -> None:
    before = await pid(database)
    with pytest.raises(asyncpg.UndefinedTableError):
        await database.row(Statement("none", "SELECT * FROM nowhere"))
    assert await pid(database) == before


async def test_a_statement_without_end_is_broken_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_pool, "STUCK_S", 0.05)
    monkeypatch.setattr(db_pool, "SWEEP_S", 0.02)
    own(database)._sweep()
    with pytest.raises(Fault, match="dependency_unavailable"):
        await database.row(SLEEP, 30.0)


async def test_unused_connections_are_closed_but_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(database.row(SLEEP, 0.05) for _ in range(6)))
    assert own(database).size > 1
    monkeypatch.setattr(db_pool, "IDLE_S", 0.0)
    own(database)._sweep()
    assert own(database).size == own(database).free == 1


async def test_a_database_that_went_away_is_a_fault_for_each_who_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused() -> asyncpg.Connection[asyncpg.Record]:
        raise ConnectionRefusedError("nobody there")

    pool = own(database)
    held = pool.take()
    assert held is not None
    pool.give(held, sound=False)
    monkeypatch.setattr(pool, "_connect", refused)
    results = await asyncio.gather(*(pid(database) for _ in range(8)), return_exceptions=True)
    assert [type(result) for result in results] == [Fault] * 8
    monkeypatch.undo()
    assert await pid(database)


async def test_closing_waits_for_what_runs(database_url: str) -> None:
    metrics = DatabaseMetrics(CollectorRegistry())
    async with open_database(database_url, "test", metrics, pool="own") as opened:
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
