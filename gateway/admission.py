"""Admission control: how many requests are in the gateway at once, and how many of them run.

The rest waits its turn, first in, first out, for a limited time. Counting and admitting are one step with
no await between, so no bound is ever exceeded. A body holds its place for as long as its client takes to
send it, so the last tenth of the places that run is not for users who send many. All limits are those of
one process.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.metrics import AdmissionMetrics
from services.kit.errors import Fault
from services.kit.fair import FEW
from services.kit.health import NotOkError

Layers = Literal["both", "ccu", "queue"]
LEAST_WORKERS, MOST_WORKERS = 50, 500
LEAST_QUEUE = 100
FULL_SHARE = 0.9
LOOK_S = 0.1  # between two looks for clients that left
NO_QUEUE = 0

Gone = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Sizes:
    """``admitted`` requests at once, of which ``workers`` run and ``queue`` wait at most."""

    admitted: int
    workers: int
    queue: int

    @classmethod
    def of(cls, admitted: int, workers: int | None, queue: int | None, layers: Layers) -> Sizes:
        """``None`` stands for the computed size; ``layers`` leaves one of the two limits out."""
        running = min(max(admitted // 10, LEAST_WORKERS), MOST_WORKERS) if workers is None else workers
        waiting = max(admitted - running, LEAST_QUEUE) if queue is None else queue
        match layers:
            case "both":
                return cls(admitted, running, waiting)
            case "ccu":
                return cls(admitted, admitted, NO_QUEUE)
            case "queue":
                return cls(running + waiting, running, waiting)


class Admission(Protocol):
    """The step of the pipeline, and what health shows of it."""

    async def enter(self, gone: Gone) -> None:
        """Return when the request may run; ``leave`` has to follow.

        Args:
            gone: whether its client has left; asked while it waits.

        Raises:
            Fault: ``overloaded`` at once, ``queue_timeout`` after the wait.
            ConnectionError: the client left.
        """

    def leave(self) -> None:
        """The answer is sent, or given up."""

    def begin_body(self, user: str) -> None:
        """A request with a body that its client still sends; ``end_body`` has to follow.

        Raises:
            Fault: ``overloaded``: hardly any place is left, and this user sends some bodies already.
        """

    def end_body(self, user: str) -> None:
        """Its answer is sent, or given up."""

    async def check(self) -> str:
        """Raises ``NotOkError`` when hardly any place is left."""

    def shown(self) -> dict[str, int]:
        """Its state, for people."""


class Unlimited:
    """``ADMISSION=off``."""

    async def enter(self, gone: Gone) -> None:
        """Everybody runs at once."""

    def leave(self) -> None:
        """Nothing was counted."""

    def begin_body(self, user: str) -> None:
        """Everybody may send as much as he likes."""

    def end_body(self, user: str) -> None:
        """Nothing was counted."""

    async def check(self) -> str:
        return "off"

    def shown(self) -> dict[str, int]:
        return {}


class Gate:
    """``ADMISSION=on``."""

    def __init__(self, sizes: Sizes, deadline_s: float, metrics: AdmissionMetrics) -> None:
        self._sizes, self._deadline_s, self._metrics = sizes, deadline_s, metrics
        self._running = 0
        self._bodies: Counter[str] = Counter()
        self._queue: OrderedDict[asyncio.Future[None], Gone] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._looker: asyncio.TimerHandle | None = None
        metrics.watch(
            lambda: self._running, lambda: len(self._queue), admitted=sizes.admitted, queue=sizes.queue
        )

    async def enter(self, gone: Gone) -> None:
        sizes, running, queue = self._sizes, self._running, self._queue
        if running < sizes.workers and running < sizes.admitted:  # then nobody waits
            self._running = running + 1
            return
        if len(queue) >= sizes.queue or running + len(queue) >= sizes.admitted:
            self._metrics.rejected("full").inc()
            raise Fault("overloaded", "Too many requests are being served. Please try again.")
        await self._wait(gone)

    async def _wait(self, gone: Gone) -> None:
        place: asyncio.Future[None] = self._loop.create_future()
        self._queue[place] = gone
        if self._looker is None:
            self._looker = self._loop.call_later(LOOK_S, self._look)
        since = self._loop.time()
        timer = self._loop.call_later(self._deadline_s, self._too_late, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # the place was given in the same moment
            raise
        finally:
            timer.cancel()
            self._queue.pop(place, None)
            self._metrics.wait.observe(self._loop.time() - since)

    def leave(self) -> None:
        """Whoever waited longest takes the place over."""
        queue = self._queue
        while queue:
            place, _ = queue.popitem(last=False)
            if not place.done():
                place.set_result(None)
                return
        self._running -= 1

    def begin_body(self, user: str) -> None:
        sizes = self._sizes
        full = self._running >= FULL_SHARE * min(sizes.workers, sizes.admitted)
        if full and self._bodies[user] >= FEW:
            self._metrics.rejected("full").inc()
            raise Fault(
                "overloaded", "You are sending many bodies already. Please let one of them end first."
            )
        self._bodies[user] += 1

    def end_body(self, user: str) -> None:
        self._bodies[user] -= 1
        if not self._bodies[user]:
            del self._bodies[user]

    def _too_late(self, place: asyncio.Future[None]) -> None:
        if not place.done():
            self._queue.pop(place, None)
            self._metrics.rejected("deadline").inc()
            place.set_exception(Fault("queue_timeout", "No place became free in time. Please try again."))

    def _look(self) -> None:
        """A connection that is not read from does not say that its client left."""
        for place, gone in list(self._queue.items()):
            if not place.done() and gone():
                del self._queue[place]
                place.set_exception(ConnectionResetError("the client left while it waited for its turn"))
        self._looker = self._loop.call_later(LOOK_S, self._look) if self._queue else None

    async def check(self) -> str:
        running, waiting, sizes = self._running, len(self._queue), self._sizes
        if running + waiting >= FULL_SHARE * sizes.admitted or (
            sizes.queue and waiting >= FULL_SHARE * sizes.queue
        ):
            raise NotOkError(f"{running} requests run and {waiting} wait")
        return f"{running} running, {waiting} waiting"

    def shown(self) -> dict[str, int]:
        sizes = self._sizes
        return {
            "running": self._running,
            "queued": len(self._queue),
            "max_admitted": sizes.admitted,
            "max_running": min(sizes.workers, sizes.admitted),
            "max_queued": sizes.queue,
        }
