"""Interrupts the upload service at a chosen moment of a finalisation.

A moment is a request to the store, a write to the journal or a registration. What happens there, before it
is carried out or after: the process dies, the answer is lost, or everything stands still for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.kit.db import Database, Statement
from services.kit.errors import unavailable
from services.kit.s3 import S3Client
from services.kit.s3.download import Download
from services.kit.s3.errors import UnavailableError
from services.upload.finalise.outcome import RefusedError
from services.upload.finalise.runner import Register
from services.upload.model import Looks, Made, Session

STORE_REQUESTS = {
    "abort_multipart",
    "complete_multipart",
    "copy",
    "copy_part",
    "create_multipart",
    "head",
    "list_parts",
    "put_bytes",
    "put_part_bytes",
}


class Died(BaseException):
    """The process is gone at this moment: nothing after it runs, nothing is written any more."""


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Interruption:
    """Counts moments once it is armed, and interrupts the one with the given number (from 1)."""

    number: int = 0
    when: When = When.BEFORE
    happens: Callable[[Exception], Awaitable[None]] | None = None
    seen: list[str] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def arm(self, number: int, when: When, happens: Callable[[Exception], Awaitable[None]]) -> None:
        self.number, self.when, self.happens = number, when, happens
        self.seen.clear()
        self.reached.clear()
        self.go_on.clear()

    def disarm(self) -> None:
        self.happens = None

    async def dies(self, _: Exception) -> None:
        raise Died

    async def loses_the_answer(self, error: Exception) -> None:
        raise error

    async def stands_still(self, _: Exception) -> None:
        await self.go_on.wait()

    async def moment(self, name: str, error: Exception, call: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out ``call``; ``error`` is what a lost answer looks like to the caller."""
        happens = self.happens
        if happens is None:
            return await call()
        self.seen.append(name)
        mine = len(self.seen) == self.number
        if mine and self.when is When.BEFORE:
            self.reached.set()
            await happens(error)
        result = await call()
        if mine and self.when is When.AFTER:
            self.reached.set()
            await happens(error)
        return result


class InterruptedStore:
    """A store client."""

    def __init__(self, store: S3Client, interruption: Interruption) -> None:
        self._store, self._interruption = store, interruption

    def __getattr__(self, name: str) -> Any:
        wrapped = getattr(self._store, name)
        if name == "get":
            return self._get
        if name not in STORE_REQUESTS:
            return wrapped

        async def interrupted(*args: Any, **options: Any) -> Any:
            error = UnavailableError(name, 0, "transport")
            return await self._interruption.moment(name, error, lambda: wrapped(*args, **options))

        return interrupted

    @asynccontextmanager
    async def _get(self, *args: Any, **options: Any) -> AsyncIterator[Download]:
        async def asked() -> None:
            """The request; its answer is read afterwards."""

        await self._interruption.moment("get", UnavailableError("get", 0, "transport"), asked)
        async with self._store.get(*args, **options) as download:
            yield download


class InterruptedDatabase:
    """A database whose writes of jobs are moments."""

    def __init__(self, database: Database, interruption: Interruption) -> None:
        self._database, self._interruption = database, interruption

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def row(self, statement: Statement, *args: Any) -> Any:
        if not statement.name.startswith("job_"):
            return await self._database.row(statement, *args)
        return await self._interruption.moment(
            statement.name, unavailable("database"), lambda: self._database.row(statement, *args)
        )


class InterruptedRegistry:
    """The files service."""

    def __init__(self, registry: Register, interruption: Interruption) -> None:
        self._registry, self._interruption = registry, interruption

    async def register(self, session: Session, made: Made) -> Looks | None:
        looks: Looks | None = await self._interruption.moment(
            "register", RefusedError("no answer"), lambda: self._registry.register(session, made)
        )
        return looks
