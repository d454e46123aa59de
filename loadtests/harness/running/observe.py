"""Watching while a trial runs: once a second every process, at the window's bounds exactly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from loadtests.harness.records.model import MonitorSample, ProcessUse
from loadtests.harness.records.vocabulary import STORES
from loadtests.harness.running import counters
from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.processes import Snapshot, Usage, Watched
from loadtests.harness.testbeds.testbed import Testbed

PERIOD_S = 1.0
QUIET_STEP_S = 0.5  # shorter ones cannot tell 3 % of a core: the kernel counts in hundredths of a second
IN_FLIGHT = re.compile(r"^http_in_flight_requests ([0-9.e+]+)$", re.MULTILINE)


@dataclass(slots=True)
class Observer:
    """Samples processes beside a trial and keeps everything it saw."""

    testbed: Testbed
    watched: list[Watched]
    http: aiohttp.ClientSession
    gateway_admin_urls: Collection[str]
    clock: Callable[[], float] = time.time
    samples: list[MonitorSample] = field(default_factory=list)
    trial: str | None = None
    _last: Snapshot | None = None
    _peaks: dict[str, int] = field(default_factory=dict)
    _child: Watched | None = None
    _reaped_before_s: float = 0.0

    def watch_child(self, name: str, pid: int) -> None:
        """Watch our only child: once it has ended, the kernel's sum over ended children stands for it."""
        ticks = processes.start_ticks(pid)
        if ticks is not None:
            self._child, self._reaped_before_s = Watched(name, pid, ticks), reaped_cpu_s()
            self.watched = [one for one in self.watched if one.name != name] + [self._child]

    async def look(self, *, exact: bool = True) -> Snapshot:
        """One look at everything, without recording it."""
        seen = await self.testbed.snapshot(self.clock, self.watched, exact=exact)
        child = self._child
        if child is None or child.name in seen.usage:
            return seen
        used = Usage(reaped_cpu_s() - self._reaped_before_s, 0, child.start_ticks)
        return Snapshot(seen.at, seen.host_busy_s, {**seen.usage, child.name: used})

    async def begin_window(self) -> Snapshot:
        """A look at the window's start; peaks of memory count from here."""
        self._peaks = {}
        await self.testbed.begin_peaks(self.watched)
        return await self.look()

    async def end_window(self) -> Snapshot:
        """A look at the window's end, with the kernel's own peaks where it keeps them."""
        last = await self.look()
        for name, peak in (await self.testbed.peaks(self.watched)).items():
            self._raise_peak(name, peak)
        for name, usage in last.usage.items():
            self._raise_peak(name, usage.rss_bytes)
        return last

    async def run(self) -> None:
        """Record one sample of every process each second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._sample()
            await asyncio.sleep(max(0.0, began + PERIOD_S - loop.time()))

    async def _sample(self) -> None:
        extra = await self._gateway()
        now = await self.look(exact=False)
        before, self._last = self._last, now
        if before is None or now.at <= before.at:
            return
        length_s = now.at - before.at
        for one in self.watched:
            use, earlier = now.usage.get(one.name), before.usage.get(one.name)
            if use is None or earlier is None or use.start_ticks != earlier.start_ticks:
                continue
            self._raise_peak(one.name, use.rss_bytes)
            self.samples.append(
                MonitorSample(
                    at=now.at,
                    trial=self.trial,
                    name=one.name,
                    pid=one.pid,
                    start_ticks=use.start_ticks,
                    container=one.container,
                    cpu_cores=(use.cpu_s - earlier.cpu_s) / length_s,
                    rss_bytes=use.rss_bytes,
                    extra=extra if one.name == "gateway" else {},
                )
            )
        busy = (now.host_busy_s - before.host_busy_s) / length_s
        host = MonitorSample(at=now.at, trial=self.trial, name="host", cpu_cores=busy, extra=pressure())
        self.samples.append(host)

    async def _gateway(self) -> dict[str, float]:
        """Requests in flight in all gateways together; nothing where one does not say."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            pages = await asyncio.gather(*(counters.fetch(self.http, url) for url in self.gateway_admin_urls))
            # Parsing the whole page each second would cost more than all the rest of watching.
            found = [match for page in pages if (match := IN_FLIGHT.search(page))]
            if pages and len(found) == len(pages):
                return {"in_flight": sum(float(match[1]) for match in found)}
        return {}

    def take(self) -> list[MonitorSample]:
        """All samples since the last call."""
        taken, self.samples = self.samples, []
        return taken

    def uses(self, begin: Snapshot, end: Snapshot) -> tuple[ProcessUse, ...]:
        """What each process used between two looks, and what none of them accounts for."""
        uses = [self._use(one, begin, end) for one in self.watched]
        found = [use for use in uses if use is not None]
        rest = (end.host_busy_s - begin.host_busy_s) - sum(use.cpu_s for use in found)
        return (*found, ProcessUse(name="rest", cpu_s=max(0.0, rest)))

    def _use(self, one: Watched, begin: Snapshot, end: Snapshot) -> ProcessUse | None:
        first, last = begin.usage.get(one.name), end.usage.get(one.name)
        if first is None and last is None:
            return None
        same = first is not None and last is not None and first.start_ticks == last.start_ticks
        cpu_s = last.cpu_s - first.cpu_s if same and last is not None and first is not None else 0.0
        return ProcessUse(
            name=one.name,
            pid=one.pid,
            start_ticks=one.start_ticks,
            container=one.container,
            cpu_s=max(0.0, cpu_s),
            peak_rss_bytes=self._peaks.get(one.name),
            restarted=not same,
        )

    def _raise_peak(self, name: str, rss_bytes: int) -> None:
        self._peaks[name] = max(self._peaks.get(name, 0), rss_bytes)


def pressure(folder: Path = Path("/proc/pressure")) -> dict[str, float]:
    """Share of the last ten seconds in which something waited for CPU, memory or disk."""
    found = {}
    for kind in ("cpu", "memory", "io"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            first = (folder / kind).read_text(encoding="ascii").splitlines()[0]
            found[f"pressure_{kind}_percent"] = float(first.split()[1].split("=")[1])
    return found


def mean_in_flight(samples: list[MonitorSample], begin: float, end: float) -> float | None:
    """Mean of the gateway's requests in flight, sampled inside the window."""
    seen = [
        sample.extra["in_flight"]
        for sample in samples
        if sample.name == "gateway" and begin <= sample.at <= end and "in_flight" in sample.extra
    ]
    return sum(seen) / len(seen) if seen else None


class Looking(Protocol):
    """The part of a testbed that looks at processes."""

    async def snapshot(self, clock: Callable[[], float], watched: Sequence[Watched], /) -> Snapshot: ...


async def wait_quiet(
    testbed: Looking,
    watched: list[Watched],
    *,
    limit_s: float,
    quiet_s: float,
    share: float = 0.03,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[str, float]:
    """Wait until store and databases have used under ``share`` of a core for ``quiet_s``.

    Returns what was still busy at the limit (cores by process); empty when all were quiet.
    """
    quiet = [one for one in watched if one.name in STORES or one.name.startswith("pg-")]
    clock = asyncio.get_running_loop().time
    first = last = await testbed.snapshot(clock, quiet)
    calm_s, busy = 0.0, dict[str, float]()
    while calm_s < quiet_s and last.at - first.at < limit_s:
        await sleep(QUIET_STEP_S)
        now = await testbed.snapshot(clock, quiet)
        busy = busy_cores(last, now, share)
        calm_s = 0.0 if busy else calm_s + (now.at - last.at)
        last = now
    return {} if calm_s >= quiet_s else busy


def busy_cores(before: Snapshot, now: Snapshot, share: float) -> dict[str, float]:
    """Cores used by every process above ``share`` between two looks."""
    cores = {
        name: (use.cpu_s - before.usage[name].cpu_s) / (now.at - before.at)
        for name, use in now.usage.items()
        if name in before.usage
    }
    return {name: used for name, used in cores.items() if used > share}


def reaped_cpu_s() -> float:
    """CPU-seconds of all children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def allowed_cores() -> float:
    """Cores this process and its children may use."""
    return float(len(os.sched_getaffinity(0)))
