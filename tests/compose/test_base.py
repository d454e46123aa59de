"""The base testbed as containers: what `make up` promises, looked at from outside and from inside."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from compose import envfile
from compose.settings import ROOT
from compose.top.containers import ONCE
from tests.compose.bed import HEALTH, OURS, PARTS, UNASKED, UP_WITHIN_S, Bed
from tests.compose.conftest import Visitor
from tests.contract import flows
from tests.contract.flows import MIB, Proxy, Strategy

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
PUBLISHED = {
    "gateway": ["GATEWAY_PORT"],
    "minio": ["S3_PORT", "S3_CONSOLE_PORT"],
    "prometheus": ["PROMETHEUS_PORT"],
}
MEMORY = envfile.read(ROOT / "compose" / "memory.env")
LIMIT_INSIDE = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"


def test_up_tells_what_runs_where_and_what_it_may_take(bed: Bed) -> None:
    told = (bed.folder / "up.txt").read_text()
    assert told.startswith("runtime   compose (RUNTIME=compose)")
    left_out = {f"MEMORY_{part.upper()}_MB" for part in bed.env["WITHOUT"].split()}
    budget = sum(int(mib) for name, mib in MEMORY.items() if name not in {*left_out, "MEMORY_BENCH_MB"})
    assert f"limits add up to {budget} MiB of the" in told
    assert f"while a run measures, {MEMORY['MEMORY_BENCH_MB']} MiB more" in told
    assert f"gateway   {bed.gateway}" in told
    assert "ready after" in told


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_healthy_and_as_limited_as_declared(bed: Bed, part: str) -> None:
    facts = bed.facts(part)
    assert bed.health(part) == HEALTH[part]
    declared = int(MEMORY[f"MEMORY_{part.upper().replace('-', '_')}_MB"]) * MIB
    host = facts["HostConfig"]
    assert host["Memory"] == declared
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert facts["Config"]["User"] not in {"", "root", "0"}
    if part != UNASKED:  # no shell in its image
        seen = bed.inside(part, "sh", "-c", LIMIT_INSIDE).stdout.strip()
        assert int(seen) == declared, "the kernel's own word"


def test_only_what_people_open_is_published_and_only_on_this_machine(bed: Bed) -> None:
    for part in PARTS:
        bindings = [
            one for found in bed.facts(part)["NetworkSettings"]["Ports"].values() if found for one in found
        ]
        expected = sorted(bed.env[name] for name in PUBLISHED.get(part, []))
        assert sorted(one["HostPort"] for one in bindings) == expected, part
        assert {one["HostIp"] for one in bindings} <= {"127.0.0.1"}
    for name in ("PG_AUTH_PORT", "AUTH_PORT", "GATEWAY_ADMIN_PORT"):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(bed.env[name]))) != 0, name


def test_our_image_has_no_tools_to_build_or_download(bed: Bed) -> None:
    for program in ("pip", "pip3", "gcc", "cc", "make", "git", "curl", "wget"):
        assert bed.inside("gateway", "bash", "-c", f"command -v {program}").returncode != 0, program
    assert bed.inside("gateway", "python", "-c", "import pip").returncode != 0


def test_only_the_spool_can_be_written(bed: Bed) -> None:
    assert bed.inside("upload", "bash", "-c", "echo x >/spool/probe && rm /spool/probe").returncode == 0
    for place in ("/app/x", "/opt/venv/x", "/usr/local/bin/x"):
        assert bed.inside("upload", "bash", "-c", f"echo x >{place}").returncode != 0, place


def test_each_process_has_only_its_own_secrets(bed: Bed) -> None:
    secrets = envfile.read(bed.folder / "secrets.env")
    held = {
        part: {name for name, value in secrets.items() if any(value in line for line in facts)}
        for part in OURS
        if (facts := bed.facts(part)["Config"]["Env"])
    }
    assert held["gateway"] == {
        "JWT_SECRET",
        "INTERNAL_KEY_GATEWAY_AUTH",
        "INTERNAL_KEY_GATEWAY_UPLOAD",
        "INTERNAL_KEY_GATEWAY_FILES",
    }
    assert "S3_SECRET_KEY" not in held["auth"]
    assert "PG_FILES_PASSWORD" not in held["upload"]


@flows.one_of_each
async def test_one_upload_by_each_strategy(bed: Bed, visitor: Visitor, strategy: Strategy) -> None:
    """Direct ones go to the published port of the store, for which their URLs are signed."""
    user = await visitor(bed)
    data = flows.payload(6 * MIB)
    upload = await flows.run(strategy, user, data)
    (listed,) = await flows.owned(user)
    assert listed["name"] == "testfile.bin"
    assert await flows.content(user, upload.uuid) == data


def test_prometheus_sees_every_process_and_the_store(bed: Bed) -> None:
    told = bed.good("status")
    for name in ("vaultbench/gateway", "vaultbench/auth", "vaultbench/upload", "vaultbench/files", "minio"):
        assert f"scraped   {name}: up" in told
    for name in ("postgres/auth", "postgres/upload", "postgres/files", "host", "processes"):
        assert f"scraped   {name}: up" in told
    rules = bed.inside(
        "prometheus", "wget", "-q", "-O", "-", f"http://127.0.0.1:{bed.env['PROMETHEUS_PORT']}/api/v1/rules"
    )
    groups = json.loads(rules.stdout)["data"]["groups"]
    assert groups
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}


def test_logs_of_one_part_and_of_an_unknown_one(bed: Bed) -> None:
    assert "upload" in bed.good("logs", "NAME=upload")
    refused = bed.make("logs", "NAME=nobody")
    assert refused.returncode != 0
    assert f"no log of 'nobody'; there are {', '.join(sorted((*PARTS, *ONCE)))}" in refused.stderr


def test_doctor_finds_a_running_testbed_well(bed: Bed) -> None:
    told = bed.good("doctor")
    assert "ok    ports    held by the running testbed" in told
    for part in PARTS:
        assert f"ok    running  {part}: {HEALTH[part]}" in told


def test_up_again_changes_nothing(bed: Bed) -> None:
    before = [bed.container(part) for part in PARTS]
    bed.good("up", timeout_s=UP_WITHIN_S)
    assert [bed.container(part) for part in PARTS] == before


@pytest.mark.parametrize("part", OURS)
def test_a_process_that_dies_is_started_again(bed: Bed, part: str) -> None:
    state = bed.facts(part)["State"]
    if os.geteuid() != 0 or not Path(f"/proc/{state['Pid']}").exists():
        pytest.skip("the daemon's processes are not visible from here")
    restarts = bed.facts(part)["RestartCount"]
    os.kill(state["Pid"], signal.SIGKILL)
    bed.wait_restarted(part, restarts)
    bed.wait_healthy(part)


async def test_each_container_can_be_restarted_and_nothing_is_lost(bed: Bed, visitor: Visitor) -> None:
    user = await visitor(bed)
    data = flows.payload(2 * MIB)
    before = await flows.run(Proxy(), user, data, "before.bin")
    for part in PARTS:
        bed.docker("restart", "-t", "30", bed.container(part))
        bed.wait_healthy(part)
    await flows.run(Proxy(), user, data, "after.bin")
    assert await flows.content(user, before.uuid) == data
    assert {one["name"] for one in await flows.owned(user)} == {"before.bin", "after.bin"}


async def test_down_keeps_the_data_and_clean_names_what_it_deletes(bed: Bed, visitor: Visitor) -> None:
    user = await visitor(bed)
    data = flows.payload(MIB)
    kept = await flows.run(Proxy(), user, data)
    volumes = bed.volumes()
    assert "stopped; data is kept" in bed.good("down")
    assert bed.volumes() == volumes
    assert not bed.docker(
        "ps", "-aq", "--filter", f"label=com.docker.compose.project={bed.env['COMPOSE_PROJECT_NAME']}"
    )
    assert "nothing runs; make up starts it" in bed.good("status")
    bed.good("up", timeout_s=UP_WITHIN_S)
    assert await flows.content(user, kept.uuid) == data
    told = bed.good("clean")
    assert bed.volumes() == set()
    for volume in volumes:
        assert f"deleting volume {volume} (" in told
    assert not (bed.folder / "run").exists()
    assert (bed.folder / "secrets.env").exists()
    assert "no data to delete" in bed.good("clean", "ALL=1")
    assert not (bed.folder / "secrets.env").exists()
