"""Redis: a client that answers in time or not at all, and is left alone for a while after it did not.

Nothing that is kept there may be needed: whoever asks goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as ConnectTimeoutError
from structlog.typing import FilteringBoundLogger

from services.kit.clock import World
from services.kit.health import NotOkError
from services.kit.settings import RedisSettings

CONNECTIONS = 16
PAUSE_S = 1.0
T = TypeVar("T")


class Failure(StrEnum):
    """Why there is no answer."""

    ERROR = "error"
    TIMEOUT = "timeout"
    PAUSED = "paused"  # it failed a moment ago, and was not asked


class RedisGoneError(Exception):
    """There is no answer; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Script:
    """A Lua script; Redis runs it as one step that nothing else comes between."""

    def __init__(self, redis: Redis, source: str) -> None:
        self._redis, self._run = redis, redis.client.register_script(source)

    async def __call__(self, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """Raises RedisGoneError."""
        return await self._redis.ask(lambda: self._run(keys, args))


class Redis:
    """After a failure nobody asks for ``PAUSE_S``; then one call finds out, and the others wait for its news.

    Args:
        timeout_s: how long one call may take, a new connection included.
        monotonic: seconds.
        told: called with False when it is gone and with True when it is back.
    """

    def __init__(
        self,
        client: Client,
        timeout_s: float,
        monotonic: Callable[[], float],
        told: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.client = client
        self._timeout_s, self._monotonic, self._told = timeout_s, monotonic, told
        self._retry_at: float | None = None  # None while it answers

    @property
    def paused(self) -> bool:
        """Whether a call now would not be made."""
        return self._retry_at is not None and self._monotonic() < self._retry_at

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Raises RedisGoneError."""
        if self.paused:
            raise RedisGoneError(Failure.PAUSED)
        if self._retry_at is not None:
            self._pause()
        try:
            found = await _within(call(), self._timeout_s)
        except (TimeoutError, ConnectTimeoutError) as error:
            raise self._gone(Failure.TIMEOUT) from error
        except (RedisError, OSError) as error:
            raise self._gone(Failure.ERROR) from error
        if self._retry_at is not None:
            self._retry_at = None
            self._told(True)
        return found

    async def close(self) -> None:
        await self.client.aclose(close_connection_pool=True)

    async def check(self) -> None:
        """The health check; it asks in a pause too."""
        try:
            await _within(self.client.ping(), self._timeout_s)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise NotOkError("does not answer; we go on without it") from error

    def _gone(self, failure: Failure) -> RedisGoneError:
        if self._retry_at is None:
            self._told(False)
        self._pause()
        return RedisGoneError(failure)

    def _pause(self) -> None:
        self._retry_at = self._monotonic() + PAUSE_S


async def _within(call: Awaitable[T], limit_s: float) -> T:
    """Raises TimeoutError when there is no answer in time.

    When it is this process that was late, an answer that has arrived meanwhile still counts.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=limit_s)
        if not task.done():
            await asyncio.sleep(0)  # read what has arrived …
            await asyncio.sleep(0)  # … and let the task see it
        if not task.done():
            raise TimeoutError
    finally:
        if not task.done():  # the client closes the connection whose answer is still to come
            task.add_done_callback(_seen)
            task.cancel()
    return task.result()


def _seen(task: asyncio.Future[Any]) -> None:
    """How a call ends that nobody waits for any more, is of no interest."""
    if not task.cancelled():
        task.exception()


def connect(settings: RedisSettings, world: World, log: FilteringBoundLogger) -> Redis:
    """A client of the process; nothing is sent before the first call, so a start does not depend on it."""

    def told(back: bool) -> None:
        if back:
            log.info("redis_back")
        else:
            log.warning("redis_gone")

    timeout_s = settings.redis_timeout_s
    client = client_of(settings.redis_url.get_secret_value(), timeout_s)
    return Redis(client, timeout_s, world.monotonic, told)


def client_of(url: str, timeout_s: float) -> Client:
    """One pool, no retries: a second try would wait as long again for who is gone."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_timeout=None,  # ``Redis`` limits the whole call
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return Client(connection_pool=pool)
