"""Sweeping: removing what nothing needs any more, in small batches, by one process at a time.

Every ``SWEEP_INTERVAL_S`` one replica sweeps: the one that holds a lock in the database for as long as it
lives. A second lock is held for the length of one sweep, so that an operator's never meets a timed one.
Losing a lock costs nothing: whatever a sweep changes it changes by the state of a row.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from typing import Protocol
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault, unavailable
from services.kit.lock import AdvisoryLock
from services.kit.metrics import SweepMetrics
from services.kit.s3 import StoreError
from services.kit.trail import nobody

LOCKS = 0x7377  # "sw"
TIMED, TURN = "timed", "turn"
TURN_WAIT_S, TURN_LOOK_S = 20.0, 0.1
UNKNOWN_S = 30.0  # what is begun in the store is recorded moments later


@dataclass(frozen=True, slots=True)
class Scope:
    """What one sweep may touch.

    ``older_than_s`` is an age below those of the settings, ``users`` whose things alone are touched; None
    leaves the settings' ages, and everybody's. What is in the store and no row knows stays for
    ``unknown_older_than_s`` in any case: its row may be on the way. A sweep that is not ``thorough`` looks
    at a stretch of what is many, and the next one goes on from there.
    """

    dry_run: bool = False
    older_than_s: float | None = None
    unknown_older_than_s: float = UNKNOWN_S
    users: frozenset[UUID] | None = None
    thorough: bool = True

    def age(self, usual_s: float) -> timedelta:
        """How old something must be whose usual age is ``usual_s``."""
        asked_s = usual_s if self.older_than_s is None else min(usual_s, self.older_than_s)
        return timedelta(seconds=asked_s)

    def age_of_unknown(self, usual_s: float) -> timedelta:
        """As ``age``, for what no row knows."""
        return max(self.age(usual_s), timedelta(seconds=self.unknown_older_than_s))

    @property
    def user_list(self) -> list[UUID] | None:
        """For a statement: None is everybody."""
        return None if self.users is None else list(self.users)

    def covers_key(self, key: str) -> bool:
        """Whether the object at ``users/<user>/…`` may be touched."""
        return self.users is None or key.split("/")[1:2] in ([str(user)] for user in self.users)


class NotOursError(Exception):
    """The lock is lost: another process may be sweeping."""


@dataclass(slots=True)
class Turn:
    """One sweep on its way: its scope, and what it removed (or would remove) by kind."""

    scope: Scope
    ours: Callable[[], bool] = lambda: True
    counts: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    def add(self, kind: str, count: int = 1, size_bytes: int = 0, *, kept: bool = False) -> None:
        """``kept``: found, and left where it is."""
        if count:
            self.counts[kind] += count
            self.kept[kind] += count * (kept or self.scope.dry_run)
        if size_bytes:
            self.size_bytes[kind] += size_bytes

    def unseen(self, names: Iterable[str]) -> set[str]:
        """Those that were not asked about before: two steps of a dry run may come to the same thing."""
        fresh = set(names) - self.seen
        self.seen |= fresh
        return fresh

    async def between(self) -> None:
        """Between two batches: whoever else has something to do goes first.

        Raises:
            NotOursError: somebody else may be sweeping by now.
        """
        await asyncio.sleep(0)
        if not self.ours():
            raise NotOursError


class Step(Protocol):
    """One kind of things that a sweep removes."""

    async def sweep(self, turn: Turn) -> None:
        """Raises Fault or StoreError when it could not be done to its end; the next sweep tries again."""


class Sweeper:
    """Args:
    direct_url: the database without a pooler between; the locks live there.
    service: names the locks' connections.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        direct_url: str,
        service: str,
        metrics: SweepMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._steps, self._metrics, self._log = tuple(steps), metrics, log
        self._url, self._application = direct_url, f"{service}-sweep"
        self._timed = AdvisoryLock(direct_url, self._application, LOCKS, TIMED)

    async def run(self, scope: Scope) -> Turn:
        """One sweep, once no other is on its way.

        Raises:
            Fault: another one takes too long, the database is away, or a step could not be done.
        """
        async with self._turn() as lock:
            turn, started, failed = Turn(scope, lambda: lock.held), perf_counter(), False
            for step in self._steps:
                failed |= not await self._done(step, turn)
        self._count(turn)
        if failed:
            raise unavailable("database, the store or another service that a sweep needs")
        if scope.users is None:
            self._metrics.ran(perf_counter() - started)
        return turn

    async def _done(self, step: Step, turn: Turn) -> bool:
        try:
            await step.sweep(turn)
        except (Fault, StoreError) as error:
            self._log.warning("sweep step", step=type(step).__name__, reason=str(error))
            return False
        except NotOursError:
            self._log.warning("sweep step", step=type(step).__name__, reason="the lock is lost")
            return False
        return True

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[AdvisoryLock]:
        lock = AdvisoryLock(self._url, self._application, LOCKS, TURN)
        deadline = asyncio.get_running_loop().time() + TURN_WAIT_S
        try:
            while not await lock.take():
                if asyncio.get_running_loop().time() > deadline:
                    raise Fault("overloaded", "Another sweep is still on its way.")
                await asyncio.sleep(TURN_LOOK_S)
            yield lock
        finally:
            lock.release()

    def _count(self, turn: Turn) -> None:
        for kind, count in turn.counts.items():
            self._metrics.items(kind, "0").inc(count - turn.kept[kind])
            self._metrics.items(kind, "1").inc(turn.kept[kind])
        if turn.counts:
            self._log.info("swept", dry_run=turn.scope.dry_run, **turn.counts)

    @asynccontextmanager
    async def sweeping(self, interval_s: float, scope: Scope, rng: random.Random) -> AsyncIterator[None]:
        """Sweep in the background until the block ends, in whichever replica got to it first."""
        self._metrics.every(interval_s)
        task = asyncio.create_task(self._every(interval_s, scope, rng), context=nobody())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            self._timed.release()

    async def _every(self, interval_s: float, scope: Scope, rng: random.Random) -> None:
        """The first time after half to one and a half intervals, so that replicas that start together do
        not all look together."""
        log = self._log
        await asyncio.sleep(interval_s * rng.uniform(0.5, 1.5))
        while True:
            try:
                if await self._timed.take():
                    await self.run(scope)
                else:
                    self._timed.release()  # no connection is kept from one interval to the next
            except Fault as fault:
                log.warning("sweep", reason=fault.message)
            except Exception:
                log.exception("sweep")
            await asyncio.sleep(interval_s * rng.uniform(0.9, 1.1))
