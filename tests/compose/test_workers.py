"""Several processes of each service in its one container, as `WORKERS` starts them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from loadtests.harness.records.vocabulary import service_of
from tests.compose.bed import OURS, UP_WITHIN_S, Bed, new_bed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(UP_WITHIN_S)]
SMOKE_WITHIN_S = 600


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
