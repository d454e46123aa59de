"""Rows that were read before and may be used again; where they are kept is a setting.

A reader that finds nothing gets a ticket, reads, and hands the row in with it. A change makes all tickets
for its subject void, so that a row read before the change is never kept after it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from cachetools import TTLCache
from pydantic import TypeAdapter, ValidationError
from structlog.typing import FilteringBoundLogger

from services.kit.clock import World
from services.kit.health import Check
from services.kit.metrics import Counters
from services.kit.redis import Redis, RedisGoneError, Script, connect
from services.kit.settings import CacheSettings

SUBJECTS = 10_000
READERS = 64  # of one subject, in memory
Row = TypeVar("Row")
Ticket = object | None  # None: the row will not be kept


class Lookup(StrEnum):
    """How a look into a cache ended; the metric's label."""

    HIT = "hit"
    MISS = "miss"
    FAILED = "failed"


class Cache(Protocol[Row]):
    """Rows of subjects (a file), each as one reader (a user) sees it."""

    async def get(self, subject: str, reader: str) -> tuple[Row | None, Ticket]:
        """The row, or None and the ticket to hand it in with."""
        ...

    async def keep(self, subject: str, reader: str, row: Row, ticket: Ticket) -> None:
        """Keep it, unless the subject was changed since the ticket was given."""
        ...

    async def forget(self, subject: str) -> None:
        """The subject was changed, or may have been."""
        ...

    async def forget_all(self) -> None:
        """Many subjects were changed, or may have been."""
        ...


class NoCache(Generic[Row]):
    """Every row is read (``CACHE=none``)."""

    async def get(self, subject: str, reader: str) -> tuple[Row | None, Ticket]:
        return None, None

    async def keep(self, subject: str, reader: str, row: Row, ticket: Ticket) -> None:
        return None

    async def forget(self, subject: str) -> None:
        return None

    async def forget_all(self) -> None:
        return None


class MemoryCache(Generic[Row]):
    """In this process; no other one sees what it keeps, nor tells it what to forget.

    Args:
        life_s: how long a row is used at most.
        monotonic: seconds.
        count: counts each look.
    """

    def __init__(self, life_s: float, monotonic: Callable[[], float], count: Counters) -> None:
        self._rows: TTLCache[str, dict[str, Row]] = TTLCache(SUBJECTS, life_s, timer=monotonic)
        self._count = count

    async def get(self, subject: str, reader: str) -> tuple[Row | None, Ticket]:
        rows = self._rows.get(subject)
        row = rows.get(reader) if rows is not None else None
        if row is not None:
            self._count(Lookup.HIT).inc()
            return row, None
        self._count(Lookup.MISS).inc()
        if rows is None:
            rows = self._rows[subject] = {}
        return None, rows

    async def keep(self, subject: str, reader: str, row: Row, ticket: Ticket) -> None:
        rows = self._rows.get(subject)
        if rows is not None and rows is ticket and len(rows) < READERS:
            rows[reader] = row

    async def forget(self, subject: str) -> None:
        self._rows.pop(subject, None)

    async def forget_all(self) -> None:
        self._rows.clear()


# A hash for each subject: the readers' rows, and under "" the ticket that they have to be handed in with. Its
# name holds the generation, which changes when all of them are forgotten.
_KEY = "local key = KEYS[1] .. (redis.call('GET', KEYS[2]) or '') .. ':' .. ARGV[1]\n"
_GET = (
    _KEY
    + """
local row = redis.call('HGET', key, ARGV[2])
if row then return {1, row} end
if redis.call('HSETNX', key, '', ARGV[3]) == 1 then
  redis.call('PEXPIRE', key, ARGV[4])
end
return {0, redis.call('HGET', key, '')}
"""
)
_KEEP = _KEY + "if redis.call('HGET', key, '') == ARGV[4] then redis.call('HSET', key, ARGV[2], ARGV[3]) end"
_FORGET = _KEY + "redis.call('DEL', key)"


class RedisCache(Generic[Row]):
    """For all processes together. Without Redis every row is read.

    What is changed while Redis cannot be told, may be seen as it was for ``life_s``.

    Args:
        kind: what a row is; it is kept as JSON.
        life_s: how long a row is used at most.
        count: counts each look.
    """

    def __init__(self, redis: Redis, kind: type[Row], life_s: float, count: Counters) -> None:
        self._redis, self._life_ms, self._count = redis, int(life_s * 1000), count
        prefix = f"{kind.__module__}.{kind.__qualname__}"
        self._generation = f"{prefix}:generation"
        self._keys = (f"{prefix}:", self._generation)
        self._form = TypeAdapter(kind)
        self._get, self._keep, self._forget = (Script(redis, text) for text in (_GET, _KEEP, _FORGET))

    async def get(self, subject: str, reader: str) -> tuple[Row | None, Ticket]:
        ticket = secrets.token_bytes(12)
        try:
            hit, found = await self._get(self._keys, [subject, reader, ticket, self._life_ms])
        except RedisGoneError:
            self._count(Lookup.FAILED).inc()
            return None, None
        if not hit:
            self._count(Lookup.MISS).inc()
            return None, found
        try:
            row = self._form.validate_json(found)
        except ValidationError:  # kept by another version of this service
            self._count(Lookup.FAILED).inc()
            return None, None
        self._count(Lookup.HIT).inc()
        return row, None

    async def keep(self, subject: str, reader: str, row: Row, ticket: Ticket) -> None:
        if not isinstance(ticket, bytes):
            return
        try:
            await self._keep(self._keys, [subject, reader, self._form.dump_json(row), ticket])
        except RedisGoneError:
            return  # it is read again next time

    async def forget(self, subject: str) -> None:
        try:
            await self._forget(self._keys, [subject])
        except RedisGoneError:
            self._count(Lookup.FAILED).inc()

    async def forget_all(self) -> None:
        generation = secrets.token_hex(8)
        try:
            await self._redis.ask(lambda: self._redis.client.set(self._generation, generation))
        except RedisGoneError:
            self._count(Lookup.FAILED).inc()


@asynccontextmanager
async def open_cache(
    settings: CacheSettings,
    kind: type[Row],
    world: World,
    *,
    count: Counters,
    log: FilteringBoundLogger,
    checks: dict[str, Check],
) -> AsyncIterator[Cache[Row]]:
    """What ``CACHE`` asks for.

    Args:
        checks: gets one for Redis, when that is used.
    """
    life_s = settings.cache_ttl_s
    match settings.cache:
        case "none":
            yield NoCache()
        case "memory":
            yield MemoryCache(life_s, world.monotonic, count)
        case "redis":
            redis = connect(settings, world, log)
            checks["redis"] = redis.check
            try:
                yield RedisCache(redis, kind, life_s, count)
            finally:
                await redis.close()
