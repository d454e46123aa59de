"""Several processes of each service in its one container, as `WORKERS` starts them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from loadtests.harness.records.vocabulary import service_of
from tests.compose.bed import HEALTHY_WITHIN_S, OURS, UP_WITHIN_S, Bed, new_bed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(UP_WITHIN_S)]
SMOKE_WITHIN_S, ROLL_WITHIN_S = 600, 300


@pytest.fixture(scope="module")
def twofold(daemon: str, without: str) -> Iterator[Bed]:
    with new_bed(daemon, WITHOUT=without, WORKERS="2") as bed:
        bed.good("up", timeout_s=UP_WITHIN_S)
        yield bed


@pytest.mark.parametrize("part", OURS)
def test_each_container_has_two_processes(twofold: Bed, part: str) -> None:
    commands = twofold.docker("top", twofold.container(part), "-eo", "pid,args").splitlines()
    module = part if part == "gateway" else f"services.{part}"
    assert sum(one.endswith(f"-m {module}") for one in commands) == 2, commands


def test_prometheus_reads_each_process(twofold: Bed) -> None:
    page = f"http://127.0.0.1:{twofold.env['PROMETHEUS_PORT']}/api/v1/targets"
    answer = twofold.inside("prometheus", "wget", "-q", "-O", "-", page)
    targets = json.loads(answer.stdout)["data"]["activeTargets"]
    ours = [one for one in targets if one["labels"]["job"] == "vaultbench"]
    assert {one["health"] for one in ours} == {"up"}
    read = [service_of(one["labels"]["service"]) for one in ours]
    assert {part: read.count(part) for part in OURS} == dict.fromkeys(OURS, 2)


def test_every_check_of_a_run_passes(twofold: Bed) -> None:
    assert "All checks passed" in twofold.good("smoke", timeout_s=SMOKE_WITHIN_S)


@pytest.mark.parametrize("part", OURS)
def test_one_that_is_killed_is_replaced_and_the_other_stays(twofold: Bed, part: str) -> None:
    victim, other = workers(twofold, part)
    restarts = twofold.facts(part)["RestartCount"]
    assert twofold.inside(part, "bash", "-c", f"kill -KILL {victim}").returncode == 0
    end = time.monotonic() + HEALTHY_WITHIN_S
    while len(found := workers(twofold, part)) != 2 or victim in found:
        assert time.monotonic() < end, found
        time.sleep(0.2)
    assert other in found
    assert twofold.facts(part)["RestartCount"] == restarts


def test_all_are_restarted_in_turn(twofold: Bed) -> None:
    before = {part: set(workers(twofold, part)) for part in OURS}
    assert twofold.good("roll", timeout_s=ROLL_WITHIN_S).count("restarted") == 8
    for part in OURS:
        assert before[part].isdisjoint(workers(twofold, part)), part
    assert "All checks passed" in twofold.good("smoke", timeout_s=SMOKE_WITHIN_S)


def workers(bed: Bed, part: str) -> list[str]:
    """Their process ids, as their container counts."""
    return bed.inside(part, "cat", "/proc/1/task/1/children").stdout.split()
