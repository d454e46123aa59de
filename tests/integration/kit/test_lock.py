"""Locks that last as long as a connection, on a real Postgres."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.kit import lock
from services.kit.errors import Fault
from services.kit.lock import AdvisoryLock
from tests.integration.kit.test_database import linked

pytestmark = pytest.mark.integration


async def taken(one: AdvisoryLock) -> None:
    """Once the server has seen that the other one's connection is gone."""
    async with asyncio.timeout(30):
        while not await one.take():
            await asyncio.sleep(0.01)


async def test_one_holds_it_until_it_lets_go(database_url: str) -> None:
    first, second = (AdvisoryLock(database_url, "test", 1, "name") for _ in range(2))
    others = [AdvisoryLock(database_url, "test", 1, "another"), AdvisoryLock(database_url, "test", 2, "name")]
    assert await first.take()
    assert await first.take()
    assert not await second.take()
    assert [one.held for one in (first, second)] == [True, False]
    for other in others:
        assert await other.take()
    first.release()
    await taken(second)
    assert [one.held for one in (first, second)] == [False, True]
    for one in (second, *others):
        one.release()


async def test_who_tries_again_opens_no_other_connection(database_url: str) -> None:
    first, second = (AdvisoryLock(database_url, name, 1, "name") for name in ("first", "second"))
    assert await first.take()
    connection = await asyncpg.connect(database_url)
    seen = set()
    for _ in range(5):
        assert not await second.take()
        seen |= {
            row["pid"]
            for row in await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'second'"
            )
        }
    assert len(seen) == 1
    first.release()
    second.release()
    await connection.close()


async def test_a_server_that_falls_silent_is_a_fault(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = AdvisoryLock(database_url, "test", 1, "name")
    assert await holder.take()
    async with linked(database_url) as link:
        waits = AdvisoryLock(link.url, "test", 1, "name")
        assert not await waits.take()
        monkeypatch.setattr(lock, "STATEMENT_S", 0.1)
        link.silence()
        async with asyncio.timeout(4):  # less than by itself
            with pytest.raises(Fault, match="dependency_unavailable"):
                await waits.take()
        await link.cut()
        with pytest.raises(Fault, match="dependency_unavailable"):
            await waits.take()
    holder.release()


async def test_a_lock_whose_connection_broke_is_not_held(database_url: str) -> None:
    async with linked(database_url) as link:
        one = AdvisoryLock(link.url, "test", 1, "name")
        assert await one.take()
        await link.cut()
        async with asyncio.timeout(30):
            while one.held:
                await asyncio.sleep(0.01)
        one.release()
