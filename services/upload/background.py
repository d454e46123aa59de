"""What the upload service does between requests: jobs twice a second, leases, gauges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault
from services.upload.cleaning import Cleaner
from services.upload.finalise.instance import InstanceLock
from services.upload.finalise.worker import TICK_S, Finaliser, run_every
from services.upload.metrics import Metrics
from services.upload.model import OPEN_STATES, Method
from services.upload.repository.jobs import Jobs

GAUGES_S = 5.0


class Background:
    """Args:
    renew_s: between renewals of leases.
    left_s: how long the process may still work once it stops.
    """

    def __init__(
        self,
        finaliser: Finaliser,
        cleaner: Cleaner,
        lock: InstanceLock,
        *,
        renew_s: float,
        left_s: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._finaliser, self._cleaner, self._lock = finaliser, cleaner, lock
        self._renew_s, self._left_s, self._log = renew_s, left_s, log

    @asynccontextmanager
    async def running(self, gauges: Gauges) -> AsyncIterator[None]:
        """Take back this name's jobs, then work until the block ends, then drain."""
        with suppress(Fault):  # the next turn comes in half a second
            await self._turn()
        turns = ((TICK_S, self._turn), (self._renew_s, self._finaliser.renew), (GAUGES_S, gauges.read))
        tasks = [asyncio.create_task(run_every(period_s, call, self._log)) for period_s, call in turns]
        try:
            yield
        finally:
            tasks[0].cancel()
            await self._finaliser.drain(self._left_s())
            await self._cleaner.drain(self._left_s())
            for task in tasks:
                task.cancel()
            await self._lock.close()

    async def _turn(self) -> None:
        if await self._lock.newly_held():
            await self._finaliser.take_back(self._lock.instance)
        await self._finaliser.tick()


class Gauges:
    """Reads the gauges that only the database knows.

    Args:
        spool_bytes: bytes of spool files now.
    """

    def __init__(self, jobs: Jobs, metrics: Metrics, spool_bytes: Callable[[], float]) -> None:
        self._jobs, self._metrics = jobs, metrics
        metrics.spool_bytes.set_function(spool_bytes)

    async def read(self) -> None:
        found = await self._jobs.gauges()
        open_now = {(one.method, one.state): one.count for one in found}
        for method in Method:
            for state in OPEN_STATES:
                self._metrics.sessions_open(method, state).set(open_now.get((str(method), str(state)), 0))
        self._metrics.oldest.set(max((one.queued_s or 0.0 for one in found), default=0.0))
