"""Finalisations of this process: started by requests, taken from the table, waited for, drained.

Twice a second the table is asked for jobs that are due and for leases that have run out; four times in
each lease those held here are renewed. A request waits for its job wherever that runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from structlog.typing import FilteringBoundLogger

from services.kit import deadline
from services.kit.errors import Fault
from services.kit.health import NotOkError
from services.kit.trail import TRAIL, Trail
from services.upload import errors
from services.upload.finalise.journal import Journal
from services.upload.finalise.outcome import Ending, Outcome
from services.upload.finalise.runner import Runner
from services.upload.metrics import Metrics
from services.upload.model import Looks, State, Work
from services.upload.repository.jobs import Jobs, Watched

TICK_S = 0.5
FULL_SHARE = 0.9
CANCEL_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """``workers`` finalisations run at once; ``queue`` waiting ones are too many for readiness;
    ``wait_s`` is how long a request waits."""

    workers: int
    queue: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class _Running:
    work: Work
    leased: bool


class Finaliser:
    def __init__(
        self,
        runner: Runner,
        jobs: Jobs,
        journal: Journal,
        *,
        limits: Limits,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._runner, self._jobs, self._journal, self._limits = runner, jobs, journal, limits
        self._metrics, self._log = metrics, log
        self._slots = asyncio.Semaphore(limits.workers)
        self._running: dict[int, _Running] = {}  # as far as this process knows, nobody else's
        self._tasks: set[asyncio.Task[Outcome]] = set()  # also those that lost their job and do not know
        self._waiters: dict[int, set[asyncio.Future[Outcome]]] = {}
        self._waiting = 0
        metrics.jobs("queued").set_function(lambda: self._waiting)
        metrics.jobs("running").set_function(lambda: len(self._tasks) - self._waiting)
        metrics.queue.watch("finalise", lambda: self._waiting, limits.queue)

    def start(self, work: Work, journal: Journal | None = None, *, apart: bool = False) -> None:
        """Finalise ``work``, whose lease this process holds, in a task of its own.

        An earlier task of the same upload holds the job no more: it may stand still in a request to the
        store for minutes, so nothing waits for it. It is to this one what another process is.

        Args:
            apart: no request waits for it, so it writes a log line of its own.
        """
        before = self._running.get(work.session.id)
        if before is not None and before.work.acquired >= work.acquired:
            return
        chosen = journal or self._journal
        self._running[work.session.id] = _Running(work, chosen.leased)
        run = self._apart if apart else self._run
        task = asyncio.get_running_loop().create_task(run(work, chosen))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, work))

    async def _apart(self, work: Work, journal: Journal) -> Outcome:
        trail = Trail(TRAIL.get().request_id, upload_uuid=work.session.upload_uuid)
        TRAIL.set(trail)
        started = perf_counter()
        outcome = await self._run(work, journal)
        duration_ms = round((perf_counter() - started) * 1000, 3)
        line = {**trail.fields(), "upload_uuid": str(trail.upload_uuid), "duration_ms": duration_ms}
        self._log.info("finalised", request_id=trail.request_id or None, ending=outcome.ending, **line)
        return outcome

    async def _run(self, work: Work, journal: Journal) -> Outcome:
        """One attempt, in its turn."""
        deadline.none()  # it goes on when the request that began it does not wait any more
        session_id, queued_at = work.session.id, perf_counter()
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        waited_s = perf_counter() - queued_at
        self._metrics.finalise_seconds(work.session.method, "wait").observe(waited_s)
        try:
            outcome = await self._runner.run(work, journal)
        finally:
            self._slots.release()
        if outcome.ending is Ending.LOST and session_id in self._waiters:
            with suppress(Fault):  # the tick looks again
                await self._look([session_id])
        return outcome

    def _ended(self, work: Work, task: asyncio.Task[Outcome]) -> None:
        session_id = work.session.id
        self._tasks.discard(task)
        self._let_go(work)
        if task.cancelled():
            self._publish(session_id, _released())
        elif (error := task.exception()) is not None:
            self._log.error("finalise", upload_uuid=str(work.session.upload_uuid), exc_info=error)
            for waiter in self._no_longer_waiting(session_id):
                waiter.set_exception(error)
        elif task.result().ending is not Ending.LOST:
            self._publish(session_id, task.result())

    def _let_go(self, work: Work) -> bool:
        """Whether this process held it until now, as far as it knew."""
        running = self._running.get(work.session.id)
        if running is None or running.work is not work:
            return False
        del self._running[work.session.id]
        return True

    def _publish(self, session_id: int, outcome: Outcome) -> None:
        for waiter in self._no_longer_waiting(session_id):
            waiter.set_result(outcome)

    def _no_longer_waiting(self, session_id: int) -> list[asyncio.Future[Outcome]]:
        return [waiter for waiter in self._waiters.pop(session_id, ()) if not waiter.done()]

    async def join(self, session_id: int) -> Looks | None:
        """Return when the upload is durable; with how its file looks if it was registered here.

        Raises:
            Fault: what the attempt failed with, or ``still_finalising`` after the wait.
        """
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(session_id, set()).add(waiter)
        try:
            async with asyncio.timeout(deadline.wait_s(self._limits.wait_s)):
                if session_id not in self._running:
                    await self._look([session_id])  # it may have ended since the caller looked
                outcome = await waiter
        except TimeoutError as error:
            raise errors.still_finalising() from error
        finally:
            others = self._waiters.get(session_id, set())
            others.discard(waiter)
            if not others:
                self._waiters.pop(session_id, None)
        return outcome.checked()

    async def tick(self) -> None:
        """Take what is due, look after what is waited for."""
        free = self._limits.workers - len(self._tasks)
        if free > 0:
            self._resume(await self._jobs.take_due(free, [one.work for one in self._running.values()]))
        elsewhere = self._waiters.keys() - self._running.keys()
        if elsewhere:
            await self._look(list(elsewhere))

    async def _look(self, session_ids: list[int]) -> None:
        for seen in await self._jobs.watch(session_ids):
            self._publish(seen.session_id, _outcome(seen))

    async def take_back(self, instance: str) -> None:
        """Go on with what an earlier process of this name was doing."""
        self._resume(await self._jobs.take_back(instance))

    def _resume(self, taken: list[Work]) -> None:
        for work in taken:
            self._log.info("finalise taken", upload_uuid=str(work.session.upload_uuid), step=work.step)
            self.start(work, apart=True)

    async def renew(self) -> None:
        """Renew the leases of the jobs that run here."""
        held = [one.work for one in self._running.values() if one.leased]
        if held:
            renewed = await self._jobs.renew(held)
            for work in held:
                if work.session.id not in renewed and self._let_go(work):
                    self._log.warning("lease lost", upload_uuid=str(work.session.upload_uuid))

    async def drain(self, limit_s: float) -> None:
        """Let running jobs end; what does not is released to whoever comes next."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=limit_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_S)
        try:
            await self._jobs.release()
        except Fault as fault:
            self._log.warning("leases not released", reason=fault.message)

    async def check(self) -> str:
        """Readiness: too many finalisations wait."""
        if self._waiting >= FULL_SHARE * self._limits.queue:
            raise NotOkError(f"{self._waiting} finalisations wait, the limit is {self._limits.queue}")
        return f"{self._waiting} waiting"


def _outcome(seen: Watched) -> Outcome:
    """How a finalisation ended that another process ran."""
    message = seen.error_message
    if seen.status is State.COMPLETED:
        return Outcome(Ending.DURABLE)
    if seen.status is State.FAILED:
        return Outcome(Ending.FAILED, errors.failed(message))
    if seen.status is State.ABORTED:
        return Outcome(Ending.FAILED, errors.aborted())
    why = Fault(seen.error_code, message or "") if seen.error_code else errors.still_finalising()
    return Outcome(Ending.REOPENED, why)


def _released() -> Outcome:
    """A task of a process that is stopping was broken off; whoever takes the job next goes on."""
    return Outcome(Ending.RETRYING, errors.still_finalising())


Every = Callable[[], Awaitable[None]]


async def run_every(period_s: float, call: Every, log: FilteringBoundLogger) -> None:
    """Call for ever; a fault is logged and the next turn comes."""
    while True:
        await asyncio.sleep(period_s)
        try:
            await call()
        except Fault as fault:
            log.warning("background turn failed", reason=fault.message)
        except Exception:
            log.exception("background turn failed")
