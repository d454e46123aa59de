"""What the upload service does between requests: jobs twice a second, leases, gauges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault
from services.kit.lock import AdvisoryLock
from services.upload.chunk_store.spool import Spool
from services.upload.cleaning import Cleaner
from services.upload.finalise.worker import TICK_S, Finaliser, run_every
from services.upload.metrics import Metrics
from services.upload.model import OPEN_STATES, Method
from services.upload.repository.jobs import Jobs

GAUGES_S = 5.0
_INSTANCES = 0x7570  # "up"


def instance_lock(url: str, instance: str) -> AdvisoryLock:
    """The lock on this process's INSTANCE name.

    Its holder may take back at once the jobs that an earlier process of the same name held; everybody else
    waits until their leases run out. A second process of the name just does not get the lock.
    """
    return AdvisoryLock(url, f"upload-lock-{instance}", _INSTANCES, instance)


class Background:
    """Args:
    lock: see ``instance_lock``.
    renew_s: between renewals of leases.
    left_s: how long the process may still work once it stops.
    """

    def __init__(
        self,
        finaliser: Finaliser,
        cleaner: Cleaner,
        lock: AdvisoryLock,
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
            self._lock.release()

    async def _turn(self) -> None:
        if not self._lock.held:
            await self._take_back()
        await self._finaliser.tick()

    async def _take_back(self) -> None:
        try:
            if await self._lock.take():
                await self._finaliser.take_back(self._lock.name)
        except Fault as fault:
            self._log.warning("instance lock", reason=fault.message)
            self._lock.release()  # else nothing would be taken back once the database is there again


class Gauges:
    """Reads the gauges that only the database and the disk know."""

    def __init__(self, jobs: Jobs, metrics: Metrics, spool: Spool) -> None:
        self._jobs, self._metrics, self._spool = jobs, metrics, spool

    async def read(self) -> None:
        self._metrics.spool_bytes.set(sum(file.size_bytes for file in await self._spool.files()))
        found = await self._jobs.gauges()
        open_now = {(one.method, one.state): one.count for one in found}
        for method in Method:
            for state in OPEN_STATES:
                self._metrics.sessions_open(method, state).set(open_now.get((str(method), str(state)), 0))
        self._metrics.oldest.set(max((one.queued_s or 0.0 for one in found), default=0.0))
