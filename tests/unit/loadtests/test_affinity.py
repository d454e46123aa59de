"""Who may run on which processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.harness.testbeds.affinity import on_cores, pin, split
from loadtests.harness.testbeds.processes import Watched

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("count", "own"), [(1, 0), (3, 0), (4, 1), (7, 1), (8, 2), (64, 16)])
def test_from_four_processors_the_generator_has_some_of_its_own(count: int, own: int) -> None:
    cores = split(range(count))
    assert cores.apart == (own > 0)
    assert len(cores.generator) == (own or count)
    assert cores.all == frozenset(range(count))
    if own:
        assert not cores.system & cores.generator


def test_what_is_started_inside_begins_on_the_named_processors() -> None:
    ours = os.sched_getaffinity(0)
    one = frozenset({max(ours)})
    look = "import os; print(*os.sched_getaffinity(0))"
    with on_cores(one):
        seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert {int(core) for core in seen.stdout.split()} == one
    assert os.sched_getaffinity(0) == ours


def test_a_running_process_is_moved_with_all_its_threads() -> None:
    ours = os.sched_getaffinity(0)
    one = frozenset({min(ours)})
    program = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('up', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == "up\n"
        assert pin([Watched("child", child.pid, 1)], one) == []
        threads = [int(path.name) for path in Path(f"/proc/{child.pid}/task").iterdir()]
        assert len(threads) == 2
        assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {one}
    finally:
        child.kill()
        child.communicate()


def test_a_process_that_is_gone_needs_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert pin([Watched("gone", child.pid, 1)], frozenset(os.sched_getaffinity(0))) == []
