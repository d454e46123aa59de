"""Looks are taken where the counted part of a period begins and ends, and often enough between."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from loadtests.harness.records.plan import Stretch
from loadtests.harness.testbeds.native_testbed import NativeTestbed
from loadtests.harness.testbeds.processes import Watched, start_ticks
from loadtests.harness.watch import Site, Watcher, instants, named

pytestmark = pytest.mark.unit


def stretch(t0: float = 100.0, period_s: float = 3.0, washout_s: float = 0.7, periods: int = 2) -> Stretch:
    return Stretch(
        stretch="s001", part="p", t0=t0, period_s=period_s, washout_s=washout_s,
        order=("a",) * periods, blocks=(0,) * periods,
    )  # fmt: skip


def test_looks_meet_every_bound() -> None:
    found = instants(stretch())
    assert found[0] == 100.0
    assert {100.7, 103.0, 103.7, 106.0} <= {round(at, 6) for at in found}
    assert found == sorted(found)
    assert max(after - before for before, after in pairwise(found)) <= 1.0


def test_short_turns_need_no_looks_between_their_bounds() -> None:
    assert instants(stretch(period_s=1.0, washout_s=0.3, periods=2)) == pytest.approx(
        [100.0, 100.3, 101.0, 101.3, 102.0]
    )


def test_processes_of_a_named_stack_carry_its_name() -> None:
    assert named("", "upload") == "upload"
    assert named("b", "upload") == "b/upload"
    assert named("b", "k6") == "k6"


class Here(NativeTestbed):
    """A testbed whose only part is this process."""

    async def watched(self) -> list[Watched]:
        return [Watched("upload", os.getpid(), start_ticks(os.getpid()) or 0)]


class Time:
    """A clock that only sleeping moves, and looks that take a while."""

    def __init__(self, look_s: float = 0.0) -> None:
        self.now, self.look_s = 99.0, look_s

    def clock(self) -> float:
        self.now += self.look_s
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def watcher(tmp_path: Path, http: aiohttp.ClientSession, time: Time) -> Watcher:
    sites = {"": Site(Here(tmp_path)), "b": Site(Here(tmp_path))}
    return Watcher(sites, http, k6_pid=os.getpid(), clock=time.clock, sleep=time.sleep)


async def test_a_stretch_is_looked_at_as_it_asks(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        watching = watcher(tmp_path, http, Time())
        await watching.watch(stretch())
        looks = watching.take()
    assert [look.at for look in looks] == pytest.approx(instants(stretch()))
    assert set(looks[0].cpu_s) == {"upload", "b/upload", "harness", "k6"}
    assert looks[0].lives["upload"] == start_ticks(os.getpid())
    assert all(look.rss_bytes["harness"] > 0 and look.host_busy_s > 0 for look in looks)
    assert watching.take() == []


async def test_looks_that_take_long_do_not_queue_up(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        time = Time(look_s=0.5)
        watching = watcher(tmp_path, http, time)
        await watching.watch(stretch(periods=6))
    assert 4 < len(watching.looks) < len(instants(stretch(periods=6)))
    assert time.now < stretch().t0 + 6 * 3 + 3


@asynccontextmanager
async def saying(*pages: str) -> AsyncIterator[str]:
    """An admin port whose metrics page is another one each time."""
    left = iter(pages)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=next(left))

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_seconds_waited_per_second_are_the_requests_that_waited(tmp_path: Path) -> None:
    pages = [f"# HELP x\ndb_pool_wait_seconds_sum {waited}\nother 1\n" for waited in (5.0, 11.0, 1.0)]
    async with saying(*pages) as url, aiohttp.ClientSession() as http:
        time = Time()
        watching = watcher(tmp_path, http, time)
        seen = []
        for _ in range(3):
            await watching._ask_pool("b/upload", url)
            time.now += 2.0
            seen.append(dict(watching._pool_waiting))
    assert seen == [{}, {"b/upload": 3.0}, {}], "a process that began anew says nothing of before"
