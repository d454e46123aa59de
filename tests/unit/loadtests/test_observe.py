"""What the observer makes of two looks at the same processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
import pytest

from loadtests.harness.records.model import MonitorSample
from loadtests.harness.running.observe import (
    QUIET_STEP_S,
    Observer,
    busy_cores,
    mean_in_flight,
    wait_quiet,
)
from loadtests.harness.testbeds.native_testbed import NativeTestbed
from loadtests.harness.testbeds.processes import Snapshot, Usage, Watched

pytestmark = pytest.mark.unit


def look(at: float, host: float, **cpu: tuple[float, int]) -> Snapshot:
    return Snapshot(at, host, {name: Usage(used, 1000, start) for name, (used, start) in cpu.items()})


async def test_uses_notice_restarts_and_what_nobody_accounts_for(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        watched = [Watched("a", 1, 5), Watched("b", 2, 6), Watched("late", 3, 7)]
        observer = Observer(NativeTestbed(tmp_path), watched, http, ())
        begin = look(0.0, 100.0, a=(1.0, 5), b=(9.0, 6))
        end = look(8.0, 110.0, a=(4.0, 5), b=(0.5, 60))
        uses = {use.name: use for use in observer.uses(begin, end)}
    assert uses["a"].cpu_s == 3.0
    assert not uses["a"].restarted
    assert uses["b"].restarted
    assert uses["rest"].cpu_s == 7.0
    assert "late" not in uses


def test_busy_processes_are_named() -> None:
    before, now = look(0.0, 0.0, minio=(1.0, 1), pg=(1.0, 1)), look(2.0, 0.0, minio=(1.2, 1), pg=(1.01, 1))
    assert busy_cores(before, now, 0.03) == {"minio": pytest.approx(0.1)}


def test_in_flight_is_the_mean_inside_the_window() -> None:
    def sample(at: float, name: str, value: float) -> MonitorSample:
        return MonitorSample(at=at, trial="t", name=name, cpu_cores=0.0, extra={"in_flight": value})

    samples = [
        sample(1, "gateway", 50),
        sample(2, "gateway", 4),
        sample(3, "gateway", 6),
        sample(2, "host", 9),
    ]
    assert mean_in_flight(samples, 1.5, 3.5) == 5
    assert mean_in_flight([], 0, 1) is None


async def test_a_child_that_has_ended_still_counts_what_it_used(tmp_path: Path) -> None:
    work = "sum(i * i for i in range(2_000_000)); input()"
    async with aiohttp.ClientSession() as http:
        observer = Observer(NativeTestbed(tmp_path), [], http, ())
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", work, stdin=asyncio.subprocess.PIPE
        )
        observer.watch_child("k6", child.pid)
        begin = await observer.look()
        await child.communicate(b"go on\n")
        uses = observer.uses(begin, await observer.look())
        (used,) = (use for use in uses if use.name == "k6")
    assert not used.restarted
    assert used.cpu_s > 0.02


class Looks:
    """A testbed whose store uses these shares of a core, one after the other."""

    def __init__(self, shares: list[float]) -> None:
        self._steps = iter([0.0, *shares])
        self._at = self._used_s = 0.0
        self.asked: list[list[str]] = []

    async def snapshot(self, clock: Callable[[], float], watched: Sequence[Watched], /) -> Snapshot:
        del clock
        self.asked.append([one.name for one in watched])
        self._used_s += next(self._steps) * QUIET_STEP_S
        found = look(self._at, 0.0, minio=(self._used_s, 1))
        self._at += QUIET_STEP_S
        return found


async def at_once(delay_s: float) -> None:
    assert delay_s == QUIET_STEP_S


PARTS = [Watched("minio", 1, 1), Watched("pg-files", 2, 2), Watched("gateway", 3, 3)]


@pytest.mark.parametrize(
    ("shares", "steps"),
    [
        ([0.0] * 4, 4),  # two seconds, not one
        ([0.02] * 4, 4),
        ([0.5, 0.1, *[0.0] * 4], 6),
        ([0.0, 0.0, 0.0, 0.04, *[0.0] * 4], 8),  # all of it again
    ],
)
async def test_a_load_waits_for_two_seconds_of_rest(shares: list[float], steps: int) -> None:
    looks = Looks(shares)
    assert await wait_quiet(looks, PARTS, limit_s=15, quiet_s=2.0, sleep=at_once) == {}
    assert len(looks.asked) == steps + 1
    assert looks.asked[0] == ["minio", "pg-files"]


async def test_who_is_still_busy_at_the_limit_is_named() -> None:
    looks = Looks([0.2] * 30)
    assert await wait_quiet(looks, PARTS, limit_s=15, quiet_s=2.0, sleep=at_once) == {
        "minio": pytest.approx(0.2)
    }
    assert len(looks.asked) == 31
