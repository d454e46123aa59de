"""Reading ``/proc``: a made-up tree for the rules, this process for the truth."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.processes import Watched

pytestmark = pytest.mark.unit

TICKS = processes.TICKS_PER_S


def add(
    proc: Path, pid: int, *, ppid: int, own: int, reaped: int = 0, start: int = 5, name: str = "x y) z"
) -> None:
    fields = ["S", str(ppid), *["0"] * 9, str(own), "0", str(reaped), "0", *["0"] * 4, str(start), "0"]
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}")
    held = f"RssAnon:    40 kB\nRssFile:    {pid} kB\nRssShmem:    {60 + pid} kB\n"
    (folder / "status").write_text(f"Name: x\nVmRSS:    {100 + 2 * pid} kB\n{held}")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "stat").write_text("cpu  100 10 50 900 5 3 2 0 0 0\n")
    (tmp_path / "self").mkdir()
    add(tmp_path, 10, ppid=1, own=2 * TICKS, reaped=3 * TICKS)
    add(tmp_path, 11, ppid=10, own=4 * TICKS, reaped=1 * TICKS)
    add(tmp_path, 12, ppid=1, own=7 * TICKS)
    return tmp_path


def test_a_cluster_is_its_postmaster_its_reaped_and_its_live_children(proc: Path) -> None:
    watched = [Watched("pg", 10, 5, family=True), Watched("one", 12, 5), Watched("gone", 99, 5)]
    found = processes.snapshot(1.0, watched, proc)
    assert found.usage["pg"].cpu_s == 10.0
    assert found.usage["one"].cpu_s == 7.0
    assert "gone" not in found.usage
    assert found.host.busy_s == pytest.approx((100 + 10 + 50 + 3 + 2) / TICKS)
    assert found.host.disk_wait_s == pytest.approx(5 / TICKS)


def test_what_processes_of_a_cluster_share_counts_once(proc: Path) -> None:
    watched = [Watched("pg", 10, 5, family=True), Watched("one", 12, 5)]
    found = processes.snapshot(1.0, watched, proc).usage
    assert found["pg"].rss_bytes == (40 + 40 + 11 + 71) * 1024
    assert found["one"].rss_bytes == (100 + 2 * 12) * 1024, "of a single process: its resident size"


def test_this_process_is_read_as_it_is() -> None:
    ticks = processes.start_ticks(os.getpid())
    assert ticks is not None
    found = processes.snapshot(0.0, [Watched("me", os.getpid(), ticks)])
    used = os.times()
    assert found.usage["me"].cpu_s == pytest.approx(used.user + used.system, abs=0.1)
    assert found.usage["me"].rss_bytes > 10_000_000
