"""The places where rows are kept: the same rules in memory and in Redis, and nothing depends on Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, make_dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from services.kit.cache import READERS, SUBJECTS, Cache, Lookup, MemoryCache, RedisCache
from services.kit.metrics import Counters, cache_lookups
from services.kit.redis import PAUSE_S, Redis, client_of
from tests.redis_server import RedisServer

pytestmark = pytest.mark.integration
LIFE_S, PATIENT_S = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class Row:
    id: UUID
    made_at: datetime
    name: str | None


Later: TypeAlias = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Kept:
    """A cache, and a second process' view of it where there is one."""

    cache: Cache[Row]
    other: Cache[Row]
    count: Counters
    registry: CollectorRegistry
    later: Later

    def looks(self, lookup: Lookup) -> float:
        return self.registry.get_sample_value("cache_lookups_total", {"result": lookup}) or 0.0


@pytest.fixture(params=["memory", "redis"])
async def kept(request: pytest.FixtureRequest, server: RedisServer) -> AsyncIterator[Kept]:
    registry = CollectorRegistry()
    count = cache_lookups(registry, tuple(Lookup))
    if request.param == "memory":
        now = [0.0]

        async def wait(seconds: float) -> None:
            now[0] += seconds

        memory: MemoryCache[Row] = MemoryCache(LIFE_S, lambda: now[0], count)
        yield Kept(memory, memory, count, registry, wait)
        return
    clients = [Redis(client_of(server.url, PATIENT_S), PATIENT_S, lambda: 0.0) for _ in range(2)]
    one, other = (RedisCache(client, Row, LIFE_S, count) for client in clients)

    async def age(seconds: float) -> None:
        """Every key has so much less to live."""
        client = clients[0].client
        async for key in client.scan_iter():
            left_ms = await client.pttl(key) - int(seconds * 1000)
            if left_ms > 0:
                await client.pexpire(key, left_ms)
            else:
                await client.delete(key)

    yield Kept(one, other, count, registry, age)
    for client in clients:
        await client.close()


def row(name: str | None = "a.txt") -> Row:
    return Row(uuid4(), datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), name)


async def fill(cache: Cache[Row], subject: str, reader: str, value: Row) -> None:
    found, ticket = await cache.get(subject, reader)
    assert found is None
    await cache.keep(subject, reader, value, ticket)


async def held(cache: Cache[Row], subject: str, reader: str) -> Row | None:
    return (await cache.get(subject, reader))[0]


async def test_a_kept_row_comes_back_as_it_was_to_the_same_reader_only(kept: Kept) -> None:
    mine, without = row(), row(None)
    await fill(kept.cache, "s", "me", mine)
    await fill(kept.cache, "t", "me", without)
    assert await held(kept.other, "s", "me") == mine
    assert await held(kept.other, "t", "me") == without
    assert await held(kept.other, "s", "you") is None
    assert (kept.looks(Lookup.HIT), kept.looks(Lookup.MISS)) == (2, 3)


async def test_a_row_read_before_a_change_is_not_kept_after_it(kept: Kept) -> None:
    """The reader looks, reads the old row; somebody changes it; only then the reader hands it in."""
    forgets: list[Callable[[], Awaitable[None]]] = [partial(kept.other.forget, "s"), kept.other.forget_all]
    for forget in forgets:
        _, ticket = await kept.cache.get("s", "me")
        await forget()
        await kept.cache.keep("s", "me", row("old"), ticket)
        assert await held(kept.other, "s", "me") is None
        # And with another reader between: that one has a ticket of its own.
        _, old = await kept.cache.get("s", "me")
        await forget()
        _, new = await kept.other.get("s", "me")
        await kept.cache.keep("s", "me", row("old"), old)
        assert await held(kept.cache, "s", "me") is None
        current = row("new")
        await kept.other.keep("s", "me", current, new)
        assert await held(kept.cache, "s", "me") == current
        await kept.other.forget("s")


async def test_a_change_is_for_all_readers_of_one_subject(kept: Kept) -> None:
    for subject in ("s", "t"):
        for reader in ("me", "you"):
            await fill(kept.cache, subject, reader, row())
    await kept.other.forget("s")
    assert await held(kept.cache, "s", "me") is None
    assert await held(kept.cache, "s", "you") is None
    assert await held(kept.cache, "t", "you") is not None
    await kept.other.forget_all()
    assert await held(kept.cache, "t", "you") is None


async def test_a_row_ends_with_its_life_however_often_it_is_used(kept: Kept) -> None:
    await fill(kept.cache, "s", "me", row())
    for _ in range(3):
        await kept.later(LIFE_S / 4)
        assert await held(kept.cache, "s", "me") is not None
    await kept.later(LIFE_S / 4 + 1)
    assert await held(kept.cache, "s", "me") is None


async def test_what_is_kept_in_memory_is_bounded() -> None:
    count = cache_lookups(CollectorRegistry(), tuple(Lookup))
    cache: MemoryCache[Row] = MemoryCache(LIFE_S, lambda: 0.0, count)
    for number in range(SUBJECTS + 10):
        await fill(cache, str(number), "me", row())
    for number in range(READERS + 10):
        await fill(cache, "public", str(number), row())
    assert len(cache._rows) == SUBJECTS
    assert len(cache._rows["public"]) == READERS


async def test_without_redis_everything_is_read_and_nothing_fails(server: RedisServer) -> None:
    registry, now = CollectorRegistry(), [0.0]
    redis = Redis(client_of(server.url, PATIENT_S), PATIENT_S, lambda: now[0])
    cache = RedisCache(redis, Row, LIFE_S, cache_lookups(registry, tuple(Lookup)))
    await fill(cache, "s", "me", row())
    server.kill()
    found, ticket = await cache.get("s", "me")
    assert (found, ticket) == (None, None)
    await cache.keep("s", "me", row(), ticket)
    await cache.forget("s")
    await cache.forget_all()
    assert registry.get_sample_value("cache_lookups_total", {"result": "failed"}) == 3
    server.start()
    now[0] += PAUSE_S
    await fill(cache, "s", "me", row())
    assert await held(cache, "s", "me") is not None
    await redis.close()


async def test_a_row_that_another_version_kept_is_read_again(server: RedisServer) -> None:
    count = cache_lookups(registry := CollectorRegistry(), tuple(Lookup))
    client = Redis(client_of(server.url, PATIENT_S), PATIENT_S, lambda: 0.0)
    older = make_dataclass("Row", [("id", str)], namespace={"__module__": Row.__module__})
    await fill(RedisCache(client, older, LIFE_S, count), "s", "me", older("1"))
    assert await held(RedisCache(client, Row, LIFE_S, count), "s", "me") is None
    assert registry.get_sample_value("cache_lookups_total", {"result": Lookup.FAILED}) == 1
    await client.close()
