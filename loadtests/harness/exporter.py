"""What the harness is doing now, for Prometheus: whose turn it is, which fault is in force.

    testbed_turn_active{run,part,arm} 1              while this arm has its turn, absent otherwise
    testbed_fault_active{fault,target} 1             while the fault is in force

Dashboards draw both as annotations. A series is there only while what it names is going on, so Prometheus
marks its end at the next scrape.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from loadtests.harness.records.plan import Stretch

FAMILIES = {
    "testbed_turn_active": "1 while this arm has its turn",
    "testbed_fault_active": "1 while this fault is in force",
}


@dataclass(eq=False)
class Activity(Collector):
    """What goes on now."""

    run: str
    clock: Callable[[], float] = time.time
    _stretch: Stretch | None = None
    _faults: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def stretch(self, stretch: Stretch) -> Iterator[None]:
        """This stretch is played until the block ends."""
        self._stretch = stretch
        try:
            yield
        finally:
            self._stretch = None

    @contextmanager
    def fault(self, fault: str, target: str) -> Iterator[None]:
        """This fault is in force until the block ends."""
        self._faults.append((fault, target))
        try:
            yield
        finally:
            self._faults.remove((fault, target))

    def collect(self) -> Iterable[Metric]:
        """The families as they are now."""
        turns, faults = self.describe()
        if self._stretch is not None and (arm := arm_at(self._stretch, self.clock())) is not None:
            turns.add_sample(turns.name, {"run": self.run, "part": self._stretch.part, "arm": arm}, 1)
        for fault, target in self._faults:
            faults.add_sample(faults.name, {"fault": fault, "target": target}, 1)
        return turns, faults

    def describe(self) -> tuple[Metric, Metric]:
        """The families without samples."""
        first, second = (Metric(name, text, "gauge") for name, text in FAMILIES.items())
        return first, second


def arm_at(stretch: Stretch, at: float) -> str | None:
    """Whose turn it is at an instant; nobody's before and after the stretch."""
    index = int((at - stretch.t0) // stretch.period_s)
    return stretch.order[index] if 0 <= index < len(stretch.order) else None


@asynccontextmanager
async def serving(activity: Activity, host: str | None, port: int) -> AsyncIterator[None]:
    """Serve ``/metrics`` until the block ends, on all addresses where ``host`` is None.

    Raises:
        OSError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(activity)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
