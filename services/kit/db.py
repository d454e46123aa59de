"""Postgres: asyncpg's pool, whose every statement has a name, a time and a typed failure.

No statement may leave state on a connection (no ``SET``, no session lock, no ``LISTEN``): the pool
sends no reset query. Locks that last live on dedicated connections (``connect``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.kit.errors import unavailable
from services.kit.metrics import DatabaseMetrics
from services.kit.settings import USUAL_POOL, PoolSize
from services.kit.trail import TRAIL

POOL_WAIT_S = 5.0
STATEMENT_S = 11.0  # one more than the server allows a statement: this one is for a server that is silent
CLOSE_S = 5.0
Lent: TypeAlias = "PoolConnectionProxy[Any]"
Method: TypeAlias = Literal["fetchrow", "fetch", "execute"]
# The statement may work later. Whatever else a server refuses is a fault of ours.
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # 25006: a standby
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,  # 08
    asyncpg.OperatorInterventionError,  # 57: shutdown, crash, start, a statement that took too long
    asyncpg.PostgresSystemError,  # 58: input and output
    asyncpg.InternalServerError,  # XX: damaged data
    asyncpg.InsufficientResourcesError,  # 53: disk, memory, connections
    asyncpg.TransactionRollbackError,  # 40: deadlock, serialisation
    asyncpg.IdleInTransactionSessionTimeoutError,  # 25P03
    asyncpg.LockNotAvailableError,  # 55P03
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement; ``name`` is its metric label and comes from the code, never from a request."""

    name: str
    sql: str


class _Connection(asyncpg.Connection):
    """A connection that needs no reset, because no statement leaves anything behind."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Runs named statements; a database that cannot answer is a ``Fault``, never a driver error.

    Constraint violations (``asyncpg.UniqueViolationError`` ...) pass through: they mean something to
    the repository.
    """

    def __init__(self, pool: asyncpg.Pool[Any], metrics: DatabaseMetrics) -> None:
        self._pool, self._metrics = pool, metrics
        self._limit, self._wanted = pool.get_max_size(), 0  # connections in use or waited for
        metrics.watch(lambda: pool.get_size() - pool.get_idle_size(), pool.get_idle_size, self._limit)

    async def _acquire(self) -> Lent:
        started = perf_counter()
        # A timer is only paid for when there may be something to wait for.
        wait_s = None if self._wanted < self._limit else POOL_WAIT_S
        self._wanted += 1
        try:
            return await self._pool.acquire(timeout=wait_s)
        except (*_UNAVAILABLE, asyncpg.PostgresError) as error:  # no connection: never a fault of ours
            self._wanted -= 1
            raise unavailable("database") from error
        except BaseException:
            self._wanted -= 1
            raise
        finally:
            self._metrics.wait.observe(perf_counter() - started)

    async def _release(self, connection: Lent) -> None:
        try:
            await self._pool.release(connection)
        finally:
            self._wanted -= 1

    async def _run(self, method: Method, statement: Statement, args: tuple[Any, ...]) -> Any:
        connection = await self._acquire()
        try:
            return await self._timed(connection, method, statement, args)
        finally:
            await self._release(connection)

    async def _timed(
        self,
        connection: Lent,
        method: Method,
        statement: Statement,
        args: tuple[Any, ...],
    ) -> Any:
        started = perf_counter()
        try:
            return await getattr(connection, method)(statement.sql, *args)
        except TimeoutError as error:
            connection.terminate()  # else its release would wait as long again for a silent server
            raise unavailable("database") from error
        except asyncpg.ReadOnlySQLTransactionError as error:
            await self._pool.expire_connections()  # they lead to what was the primary before a failover
            raise unavailable("database") from error
        except _UNAVAILABLE as error:
            raise unavailable("database") from error
        finally:
            seconds = perf_counter() - started
            self._metrics.seconds(statement.name).observe(seconds)
            TRAIL.get().statement(seconds)

    async def row(self, statement: Statement, *args: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        record: asyncpg.Record | None = await self._run("fetchrow", statement, args)
        return record

    async def rows(self, statement: Statement, *args: Any) -> list[asyncpg.Record]:
        records: list[asyncpg.Record] = await self._run("fetch", statement, args)
        return records

    async def execute(self, statement: Statement, *args: Any) -> int:
        """Runs it; the number of rows it touched."""
        tag: str = await self._run("execute", statement, args)
        last = tag.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        connection = await self._acquire()
        try:
            async with connection.transaction():
                yield Transaction(self, connection)
        except _UNAVAILABLE as error:  # BEGIN or COMMIT; statements inside are translated already
            raise unavailable("database") from error
        finally:
            await self._release(connection)

    async def check(self) -> None:
        """Raises Fault when the database does not answer."""
        await self.row(Statement("health", "SELECT 1"))


class Transaction:
    """The same calls on one connection, committed together."""

    def __init__(self, database: Database, connection: Lent) -> None:
        self._database, self._connection = database, connection

    async def row(self, statement: Statement, *args: Any) -> asyncpg.Record | None:
        record: asyncpg.Record | None = await self._database._timed(
            self._connection, "fetchrow", statement, args
        )
        return record

    async def rows(self, statement: Statement, *args: Any) -> list[asyncpg.Record]:
        records: list[asyncpg.Record] = await self._database._timed(
            self._connection, "fetch", statement, args
        )
        return records


async def connect(url: str, application: str) -> asyncpg.Connection[Any]:
    """A dedicated connection, for migrations and locks that last.

    Raises:
        OSError: nobody answers there; it says where.
    """
    with _said_where(url):
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            url, timeout=5, server_settings={"application_name": application}
        )
    return connection


@contextmanager
def _said_where(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = urlsplit(url)
        why = error.strerror or type(error).__name__
        raise ConnectionError(f"no database at {place.hostname}:{place.port}: {why}") from error


@asynccontextmanager
async def open_database(
    url: str,
    application: str,
    metrics: DatabaseMetrics,
    *,
    prepared: bool = True,
    size: PoolSize = USUAL_POOL,
) -> AsyncIterator[Database]:
    """A pool of connections; closed within 5 s.

    Args:
        prepared: False behind a transaction-mode pooler that cannot keep prepared statements.

    Raises:
        OSError, asyncpg.PostgresError: the database is not there.
    """
    with _said_where(url):
        pool = await asyncpg.create_pool(
            url,
            min_size=size.least,
            max_size=size.most,
            connection_class=_Connection,
            command_timeout=STATEMENT_S,
            timeout=5,
            statement_cache_size=200 if prepared else 0,
            server_settings={"application_name": application},
        )
    try:
        yield Database(pool, metrics)
    finally:
        try:
            await asyncio.wait_for(pool.close(), CLOSE_S)
        except TimeoutError:
            pool.terminate()
