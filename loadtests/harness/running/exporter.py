"""What the harness is doing now, for Prometheus: which trial runs, which fault is in force.

    testbed_trial_active{run,trial,arm,level} 1      while k6 runs, absent otherwise
    testbed_fault_active{fault,target} 1             while the fault is in force

Dashboards draw both as annotations. A series is there only while what it names is going on, so Prometheus
marks its end at the next scrape.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from loadtests.harness.records.model import TrialPlan

FAMILIES = {
    "testbed_trial_active": "1 while the load of this trial runs",
    "testbed_fault_active": "1 while this fault is in force",
}


@dataclass(eq=False)
class Activity(Collector):
    """What goes on now."""

    run: str
    _trials: list[TrialPlan] = field(default_factory=list)
    _faults: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def trial(self, plan: TrialPlan) -> Iterator[None]:
        """This trial's load runs until the block ends."""
        self._trials.append(plan)
        try:
            yield
        finally:
            self._trials.remove(plan)

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
        trials, faults = self.describe()
        for plan in self._trials:
            labels = {"run": self.run, "trial": plan.trial, "arm": plan.arm, "level": plan.level}
            trials.add_sample(trials.name, labels, 1)
        for fault, target in self._faults:
            faults.add_sample(faults.name, {"fault": fault, "target": target}, 1)
        return trials, faults

    def describe(self) -> tuple[Metric, Metric]:
        """The families without samples."""
        first, second = (Metric(name, text, "gauge") for name, text in FAMILIES.items())
        return first, second


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
