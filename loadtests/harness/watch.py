"""What every process had used up, looked at exactly where the counted part of a period begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from loadtests.harness.background import beside
from loadtests.harness.metrics.counters import fetch
from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import Look
from loadtests.harness.testbeds.processes import HostTime, Usage, Watched, start_ticks
from loadtests.harness.testbeds.testbed import Testbed

SAMPLE_S = 1.0
LATE_S = 0.3  # a look that would come later is left out: where each takes a second, they would queue up
POOLS_EVERY_S = 3.0  # a metrics page costs the process that we watch
# Parsing the whole page would cost more than all the rest of watching.
POOL_WAIT = re.compile(r"^db_pool_wait_seconds_sum ([0-9.e+-]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Site:
    """Where one stack's processes are, and the admin ports of those, by name, that have a pool of database
    connections."""

    testbed: Testbed
    pool_admin_urls: Mapping[str, str] = field(default_factory=dict)


def instants(stretch: Stretch, sample_s: float = SAMPLE_S) -> list[float]:
    """When to look: at the beginning, at the bounds of every counted part, and between them so often that no
    two looks are further apart than ``sample_s``."""
    bounds = sorted(
        {
            stretch.began_at,
            stretch.t0,
            *(at for index in range(len(stretch.order)) for at in stretch.counted(index)),
        }
    )
    found = [bounds[0]]
    for bound in bounds[1:]:
        begin = found[-1]
        between = int((bound - begin) / sample_s - 1e-9)
        found += [begin + (bound - begin) * (at + 1) / (between + 1) for at in range(between)]
        found.append(bound)
    return found


def to_nobody(_: Look) -> None:
    """A look that nobody waits for."""


@dataclass(slots=True)
class Watcher:
    """Looks at all processes of all stacks, at k6 and at ourselves.

    Processes of the stack "" keep their names, those of another are ``<stack>/<process>``. What several
    stacks share is named once, by whoever runs it.
    """

    sites: Mapping[str, Site]
    http: aiohttp.ClientSession
    k6_pid: int | None = None
    looked: Callable[[Look], None] = to_nobody
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    looks: list[Look] = field(default_factory=list)
    _watched: dict[str, list[Watched]] = field(default_factory=dict)
    _pool_waiting: dict[str, float] = field(default_factory=dict)
    _pool_waits: dict[str, tuple[float, float]] = field(default_factory=dict)  # when asked, seconds waited

    async def meet(self) -> None:
        """Learn which processes there are now; a part may have been started anew."""
        self._watched = {name: await site.testbed.watched() for name, site in self.sites.items()}
        own = {"harness": os.getpid(), **({"k6": self.k6_pid} if self.k6_pid else {})}
        first = next(iter(self._watched))
        self._watched[first] = self._watched[first] + [
            Watched(name, pid, ticks) for name, pid in own.items() if (ticks := start_ticks(pid)) is not None
        ]

    async def look(self) -> Look:
        """One look at everything."""
        used: dict[str, Usage] = {}
        at, host = self.clock(), HostTime(0.0, 0.0)
        for stack, site in self.sites.items():
            seen = await site.testbed.snapshot(self.clock, self._watched[stack], exact=True)
            at, host = seen.at, seen.host
            used |= {named(stack, name): usage for name, usage in seen.usage.items()}
        look = Look(
            at=at,
            cpu_s={name: usage.cpu_s for name, usage in used.items()},
            lives={name: usage.start_ticks for name, usage in used.items()},
            rss_bytes={name: usage.rss_bytes for name, usage in used.items()},
            host_busy_s=host.busy_s,
            disk_wait_s=host.disk_wait_s,
            pool_waiting=dict(self._pool_waiting),
        )
        self.looks.append(look)
        self.looked(look)
        return look

    async def watch(self, stretch: Stretch) -> None:
        """Look whenever a stretch asks for it, until it ends or the task is cancelled."""
        await self.meet()
        async with beside(self._ask_pools()):
            for at in instants(stretch):
                early_s = at - self.clock()
                if early_s > -LATE_S:
                    await self.sleep(max(0.0, early_s))
                    await self.look()

    def take(self) -> list[Look]:
        """All looks since the last call."""
        taken, self.looks = self.looks, []
        return taken

    async def _ask_pools(self) -> None:
        """Ask now and then how long requests have waited for a connection: seconds waited per second are the
        requests that waited at any time (Little 1961). A process that does not say is absent."""
        while True:
            for stack, site in self.sites.items():
                for process, url in site.pool_admin_urls.items():
                    await self._ask_pool(named(stack, process), url)
            await asyncio.sleep(POOLS_EVERY_S)

    async def _ask_pool(self, name: str, url: str) -> None:
        before = self._pool_waits.pop(name, None)
        self._pool_waiting.pop(name, None)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            if (match := POOL_WAIT.search(await fetch(self.http, url))) is None:
                return
            at, waited_s = self.clock(), float(match[1])
            self._pool_waits[name] = (at, waited_s)
            if before is not None and at > before[0] and waited_s >= before[1]:
                self._pool_waiting[name] = (waited_s - before[1]) / (at - before[0])


def named(stack: str, process: str) -> str:
    """What a process of a stack is called in looks; ours and k6 belong to no stack."""
    return process if stack == "" or process in ("harness", "k6") else f"{stack}/{process}"
