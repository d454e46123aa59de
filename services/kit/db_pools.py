"""Chooses the pool of database connections; ``DB_POOL`` names it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, cast

import asyncpg

from services.kit.db_pool import CLOSE_S, IDLE_S, Held, OwnPool, Raw

MIN = 2  # of asyncpg's pool; ours opens what is needed
DEFAULT = "own"


class Pool(Protocol):
    """Where connections come from: ours (``db_pool``) or asyncpg's."""

    @property
    def limit(self) -> int: ...

    @property
    def free(self) -> int: ...

    @property
    def size(self) -> int: ...

    def take(self) -> Held | None:
        """A connection, if one can be had at once; see ``db_pool.OwnPool`` for all of these."""

    async def wait(self) -> Held: ...

    def give(self, held: Held, *, sound: bool = True) -> Awaitable[None] | None:
        """What is returned, if anything, has to be awaited."""


class _Connection(asyncpg.Connection):
    """A connection that needs no reset, because no statement leaves anything behind."""

    def get_reset_query(self) -> str:
        return ""


class LibraryPool:
    """asyncpg's pool, the library twin of ours."""

    def __init__(self, pool: asyncpg.Pool[Any], limit: int, wait_s: float) -> None:
        self._pool, self.limit, self._wait_s = pool, limit, wait_s
        self._wanted = 0  # connections in use or waited for

    @property
    def free(self) -> int:
        return self._pool.get_idle_size()

    @property
    def size(self) -> int:
        return self._pool.get_size()

    def take(self) -> Held | None:
        return None

    async def wait(self) -> Held:
        # A timer is only paid for when there may be something to wait for.
        wait_s = None if self._wanted < self.limit else self._wait_s
        self._wanted += 1
        try:
            return Held(cast(Raw, await self._pool.acquire(timeout=wait_s)))
        except BaseException:
            self._wanted -= 1
            raise

    def give(self, held: Held, *, sound: bool = True) -> Awaitable[None]:
        self._wanted -= 1
        return self._pool.release(cast(Any, held.raw))


@asynccontextmanager
async def _own(url: str, options: dict[str, Any], limit: int, wait_s: float) -> AsyncIterator[Pool]:
    pool = OwnPool(lambda: asyncpg.connect(url, **options), limit=limit, wait_s=wait_s)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def _library(url: str, options: dict[str, Any], limit: int, wait_s: float) -> AsyncIterator[Pool]:
    pool = await asyncpg.create_pool(
        url,
        min_size=min(MIN, limit),
        max_size=limit,
        max_inactive_connection_lifetime=IDLE_S,
        connection_class=_Connection,
        **options,
    )
    try:
        yield LibraryPool(pool, limit, wait_s)
    finally:
        try:
            await asyncio.wait_for(pool.close(), CLOSE_S)
        except TimeoutError:
            pool.terminate()


Opener = Callable[[str, dict[str, Any], int, float], AbstractAsyncContextManager[Pool]]
POOLS: Mapping[str, Opener] = {"own": _own, "asyncpg": _library}
