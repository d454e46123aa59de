"""What the harness is doing now and what it has found so far, for Prometheus.

    testbed_turn_active{run,part,arm} 1              while this arm has its turn, absent otherwise
    testbed_fault_active{fault,target} 1             while the fault is in force, and until it was read once
    testbed_memory_bytes{run,process}                at the last look, while a stretch is played
    testbed_blocks_...{run,part}                     how far each question is
    testbed_arm_...{run,arm}                         the report's figures of the comparison so far
    testbed_ratio{run,part,metric,arm,over,bound}    and its ratios, with the ends of their intervals

Dashboards draw the first two as annotations. A series is there only while what it names is going on, so
Prometheus marks its end at the next scrape; a fault that was over before anybody looked is told all the same.
Figures of arms are told because turns are shorter than the time between two scrapes: no expression over the
services' counters could tell whose uploads those were.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import Look

TURN, FAULT, MEMORY = "testbed_turn_active", "testbed_fault_active", "testbed_memory_bytes"
BLOCKS_DONE, BLOCKS_WANTED = "testbed_blocks_done", "testbed_blocks_wanted"
UPLOADS_PER_S = "testbed_arm_uploads_per_second"
CPU_S = "testbed_arm_cpu_seconds_per_upload"
DURABLE_S = "testbed_arm_time_to_durable_seconds"
GATEWAY_BYTES = "testbed_arm_gateway_bytes_per_file_byte"
RATIO, HALF_WIDTH_WANTED = "testbed_ratio", "testbed_half_width_wanted"
FAMILIES = {
    TURN: "1 while this arm has its turn",
    FAULT: "1 while this fault is in force, and until it was read once",
    MEMORY: "memory at the last look; what the processes of a database share counts once",
    BLOCKS_DONE: "blocks of this question that are done, the one under way by its turns",
    BLOCKS_WANTED: "blocks that it is to have, as far as is decided",
    UPLOADS_PER_S: "verified uploads per second in the counted parts of the arm's turns",
    CPU_S: "CPU of gateway, services and databases for one upload in those parts",
    DURABLE_S: "median time to durable of uploads begun in those parts",
    GATEWAY_BYTES: "bytes of bodies through the gateway, from clients, for each byte of a file",
    RATIO: "one arm over another, and the ends of the 95 % interval, in blocks that are audited",
    HALF_WIDTH_WANTED: "half of that interval, as a share of the ratio, that the run aims at",
}
LAST_SCRAPE_S = 6.0  # scrapes come every 5 s: what was found last shall be read once more


@dataclass(frozen=True, slots=True)
class Figure:
    """One value that was found; ``labels`` say of what, beside the run."""

    family: str
    labels: Mapping[str, str]
    value: float


@dataclass(eq=False)
class Activity(Collector):
    """What goes on now."""

    run: str
    clock: Callable[[], float] = time.time
    _stretch: Stretch | None = None
    _faults: list[tuple[str, str]] = field(default_factory=list)
    _new_faults: set[tuple[str, str]] = field(default_factory=set)  # since anybody looked
    _memory_bytes: Mapping[str, int] = field(default_factory=dict)
    _asked: dict[str, tuple[int, int]] = field(default_factory=dict)  # blocks, and turns of each, by part
    _turns: Counter[str] = field(default_factory=Counter[str])  # in stretches that have ended, by part
    _figures: Sequence[Figure] = ()
    _read: asyncio.Event = field(default_factory=asyncio.Event)  # since the figures changed
    _listens: bool = False  # somebody has asked before

    def looked(self, look: Look) -> None:
        """This is what processes hold now."""
        self._memory_bytes = look.rss_bytes

    def asks(self, part: str, blocks: int, turns: int) -> None:
        """This part is to have so many blocks, of so many turns each."""
        self._asked[part] = blocks, turns

    def found(self, figures: Sequence[Figure]) -> None:
        """This was found so far, and nothing else."""
        self._figures = figures
        self._read.clear()

    async def told(self) -> None:
        """Wait until whoever scrapes has the last figures; nobody is waited for who never asked."""
        if self._listens and self._figures:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._read.wait(), LAST_SCRAPE_S)

    @contextmanager
    def stretch(self, stretch: Stretch) -> Iterator[None]:
        """This stretch is played until the block ends."""
        self._stretch = stretch
        try:
            yield
        finally:
            self._turns[stretch.part] += turns_ended(stretch, self.clock())
            self._stretch = None

    @contextmanager
    def fault(self, fault: str, target: str) -> Iterator[None]:
        """This fault is in force until the block ends."""
        self._faults.append((fault, target))
        self._new_faults.add((fault, target))
        try:
            yield
        finally:
            self._faults.remove((fault, target))

    def collect(self) -> Iterable[Metric]:
        """The families as they are now."""
        families = {family.name: family for family in self.describe()}
        if self._stretch is not None:
            if (arm := arm_at(self._stretch, self.clock())) is not None:
                labels = {"run": self.run, "part": self._stretch.part, "arm": arm}
                families[TURN].add_sample(TURN, labels, 1)
            for process, held in self._memory_bytes.items():
                families[MEMORY].add_sample(MEMORY, {"run": self.run, "process": process}, held)
        for fault, target in sorted({*self._faults, *self._new_faults}):
            families[FAULT].add_sample(FAULT, {"fault": fault, "target": target}, 1)
        for part, (blocks, turns) in self._asked.items():
            labels = {"run": self.run, "part": part}
            families[BLOCKS_DONE].add_sample(BLOCKS_DONE, labels, self._turns_of(part) / turns)
            families[BLOCKS_WANTED].add_sample(BLOCKS_WANTED, labels, blocks)
        for one in self._figures:
            families[one.family].add_sample(one.family, {"run": self.run, **one.labels}, one.value)
        return families.values()

    def _turns_of(self, part: str) -> int:
        """Turns of a part that have ended."""
        ended, now = self._turns[part], self._stretch
        return ended + turns_ended(now, self.clock()) if now is not None and now.part == part else ended

    def describe(self) -> list[Metric]:
        """The families without samples."""
        return [Metric(name, text, "gauge") for name, text in FAMILIES.items()]

    def page(self, registry: CollectorRegistry) -> bytes:
        """The page for whoever scrapes, who has read it then."""
        content = generate_latest(registry)
        self._new_faults.clear()
        self._listens = True
        self._read.set()
        return content


def arm_at(stretch: Stretch, at: float) -> str | None:
    """Whose turn it is at an instant; nobody's before and after the stretch."""
    index = int((at - stretch.t0) // stretch.period_s)
    return stretch.order[index] if 0 <= index < len(stretch.order) else None


def turns_ended(stretch: Stretch, at: float) -> int:
    """How many of its turns are over at an instant."""
    return min(max(0, int((at - stretch.t0) // stretch.period_s)), len(stretch.order))


@asynccontextmanager
async def serving(activity: Activity, host: str | None, port: int) -> AsyncIterator[None]:
    """Serve ``/metrics`` until the block ends, on all addresses where ``host`` is None.

    Raises:
        OSError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(activity)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=activity.page(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
        await activity.told()
    finally:
        await runner.cleanup()
