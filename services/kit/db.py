"""Postgres: a pool whose every statement has a name, a time and a typed failure.

No statement may leave state on a connection (no ``SET``, no session lock, no ``LISTEN``): the pool
sends no reset query. Locks that last live on dedicated connections (``connect``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any

import asyncpg

from services.kit.db_pool import Held
from services.kit.db_pools import DEFAULT, POOLS, Pool
from services.kit.errors import Fault, unavailable
from services.kit.metrics import DatabaseMetrics
from services.kit.trail import TRAIL

POOL_MAX = 20
POOL_WAIT_S = 5.0
_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement; ``name`` is its metric label and comes from the code, never from a request."""

    name: str
    sql: str


class Database:
    """Runs named statements; a database that cannot answer is a ``Fault``, never a driver error.

    Constraint violations (``asyncpg.UniqueViolationError`` ...) pass through: they mean something to
    the repository.
    """

    def __init__(self, pool: Pool, metrics: DatabaseMetrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._now = asyncio.get_running_loop().time
        metrics.watch(lambda: pool.size - pool.free, lambda: pool.free, pool.limit)

    async def _wait(self) -> Held:
        started = perf_counter()
        try:
            return await self._pool.wait()
        except _UNREACHABLE as error:
            raise unavailable("database") from error
        finally:
            self._metrics.wait.observe(perf_counter() - started)

    async def _run(self, statement: Statement, method: str, args: tuple[Any, ...]) -> Any:
        held = self._pool.take()
        if held is None:
            held = await self._wait()
        else:
            self._metrics.wait.observe(0.0)
        sound = False
        try:
            result = await self._timed(held, statement, method, args)
            sound = True
        except asyncpg.PostgresError:
            sound = True  # the server refused; the connection is as good as before
            raise
        finally:
            leaving = self._pool.give(held, sound=sound)
            if leaving is not None:
                await leaving
        return result

    async def _timed(self, held: Held, statement: Statement, method: str, args: tuple[Any, ...]) -> Any:
        started = perf_counter()
        held.busy_since = self._now()
        try:
            return await getattr(held.raw, method)(statement.sql, *args)
        except asyncpg.InvalidCachedStatementError:
            return await getattr(held.raw, method)(
                statement.sql, *args
            )  # the schema changed: prepare once more
        except _UNREACHABLE as error:
            raise unavailable("database") from error
        finally:
            held.busy_since = inf
            seconds = perf_counter() - started
            self._metrics.seconds(statement.name).observe(seconds)
            TRAIL.get().statement(seconds)

    async def row(self, statement: Statement, *args: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        record: asyncpg.Record | None = await self._run(statement, "fetchrow", args)
        return record

    async def rows(self, statement: Statement, *args: Any) -> list[asyncpg.Record]:
        records: list[asyncpg.Record] = await self._run(statement, "fetch", args)
        return records

    async def execute(self, statement: Statement, *args: Any) -> int:
        """Runs it; the number of rows it touched."""
        tag: str = await self._run(statement, "execute", args)
        last = tag.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        held = self._pool.take() or await self._wait()
        sound = False
        try:
            async with held.raw.transaction():
                yield Transaction(self, held)
            sound = True
        except _UNREACHABLE as error:  # BEGIN or COMMIT; statements inside are translated already
            raise unavailable("database") from error
        except Exception:
            sound = True  # it was rolled back, or the pool will see that it was not
            raise
        finally:
            leaving = self._pool.give(held, sound=sound)
            if leaving is not None:
                await leaving

    async def check(self) -> None:
        """Raises Fault when the database does not answer."""
        await self.row(Statement("health", "SELECT 1"))


class Transaction:
    """The same three calls on one connection, committed together."""

    def __init__(self, database: Database, held: Held) -> None:
        self._database, self._held = database, held

    async def row(self, statement: Statement, *args: Any) -> asyncpg.Record | None:
        record: asyncpg.Record | None = await self._database._timed(self._held, statement, "fetchrow", args)
        return record

    async def rows(self, statement: Statement, *args: Any) -> list[asyncpg.Record]:
        records: list[asyncpg.Record] = await self._database._timed(self._held, statement, "fetch", args)
        return records


async def connect(url: str, application: str) -> asyncpg.Connection[Any]:
    """A dedicated connection, for migrations and locks that last."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(
        url, timeout=5, server_settings={"application_name": application}
    )
    return connection


@asynccontextmanager
async def open_database(
    url: str, application: str, metrics: DatabaseMetrics, *, prepared: bool = True, pool: str = DEFAULT
) -> AsyncIterator[Database]:
    """A pool of at most 20 connections; closed within 5 s.

    Args:
        prepared: False behind a transaction-mode pooler that cannot keep prepared statements.
        pool: ``own`` or ``asyncpg``.
    """
    options = {
        "statement_cache_size": 200 if prepared else 0,
        "server_settings": {"application_name": application},
        "timeout": 5,
    }
    async with POOLS[pool](url, options, POOL_MAX, POOL_WAIT_S) as opened:
        yield Database(opened, metrics)


__all__ = ["Database", "Fault", "Statement", "Transaction", "connect", "open_database"]
