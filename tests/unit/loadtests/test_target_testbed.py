"""Another implementation's processes: the file that names them, and looking at them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from loadtests.harness.testbeds.target_testbed import TargetTestbed, read_pids
from loadtests.harness.testbeds.testbed import TestbedRefused

pytestmark = pytest.mark.unit

OWN, PARENT, FIRST = os.getpid(), os.getppid(), 1


def pids_in(folder: Path, text: str) -> Path:
    path = folder / "pids"
    path.write_text(text)
    return path


def test_several_of_one_name_are_numbered_as_replicas_are(tmp_path: Path) -> None:
    text = f"worker {OWN}\n\n  worker   {PARENT}\npg-main {FIRST}\n"
    assert read_pids(pids_in(tmp_path, text)) == (("worker", OWN), ("worker-2", PARENT), ("pg-main", FIRST))


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "worker", "worker {own} more", "Worker {own}", "worker x", "worker -1", "worker 1.5",
        "worker 4194305", "k6 {own}", "harness {own}", "a {own}\nb {own}",
        "worker-2 {own}\nworker {parent}\nworker 1",
    ],
)  # fmt: skip
def test_what_names_no_running_process_once_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_pids(pids_in(tmp_path, text.format(own=OWN, parent=PARENT)))


async def test_named_processes_are_looked_at_and_others_are_not(tmp_path: Path) -> None:
    testbed = TargetTestbed("http://127.0.0.1:9", (("server", OWN), ("gone", 4194305)))
    watched = await testbed.watched()
    assert [(one.name, one.pid, one.family) for one in watched] == [("server", OWN, True)]
    seen = await testbed.snapshot(time.time, watched)
    assert seen.usage["server"].cpu_s > 0
    assert await testbed.parts() == {}


async def test_it_is_not_ours_to_stop() -> None:
    testbed = TargetTestbed("http://127.0.0.1:9")
    with pytest.raises(TestbedRefused, match="is not ours"):
        await testbed.act("kill", "gateway")
    with pytest.raises(TestbedRefused, match="is not ours"):
        await testbed.restart("gateway", {})
