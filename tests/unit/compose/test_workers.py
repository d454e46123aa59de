"""WORKERS: how many processes of each service, and that both start-ups come to the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose import envfile, roll, scaling, scraping, settings, stack
from compose.cores import cores
from compose.part import Part
from compose.stack import StackError
from services.kit.settings import PoolSize
from services.kit.upstream.replicas import REST_S
from tests.unit.compose.choice import DOCKER, WORKS, Desk, new_desk
from tests.unit.compose.test_containers import MEMORY
from tests.unit.compose.test_topology import env

pytestmark = pytest.mark.unit
LOAD = "load_environment lenient; "


def parts(workers: str) -> dict[str, Part]:
    return {one.name: one for one in stack.resolve(env(WORKERS=workers), without=["prometheus"])}


def on(count: int, **chosen: str) -> dict[str, int]:
    found = scaling.counts(chosen, count)
    return {part: int(found[name]) for part, name in scaling.COUNTS.items()}


@pytest.mark.parametrize(
    ("count", "gateway", "auth"),
    [
        (1, 1, 1),
        (2, 1, 1),
        (3, 1, 1),
        (4, 1, 1),
        (7, 1, 1),
        (8, 2, 1),
        (15, 3, 1),
        (16, 4, 2),
        (1000, 32, 32),
    ],
)
def test_gateway_and_upload_get_a_quarter_of_the_cores_and_the_others_an_eighth(
    count: int, gateway: int, auth: int
) -> None:
    wanted = {"gateway": gateway, "auth": auth, "upload": gateway, "files": auth}
    assert on(count) == on(count, WORKERS="auto") == wanted


def test_a_number_is_that_of_each_service_on_any_machine() -> None:
    assert set(on(1, WORKERS="3").values()) == set(on(64, WORKERS="3").values()) == {3}


def test_in_the_scaled_topology_replicas_count() -> None:
    assert on(64, TOPOLOGY="scaled", WORKERS="auto") == {"gateway": 2, "auth": 1, "upload": 2, "files": 2}
    with pytest.raises(envfile.EnvError, match="WORKERS=2: with TOPOLOGY=scaled, REPLICAS says"):
        settings.read({"TOPOLOGY": "scaled", "WORKERS": "2"})
    with pytest.raises(envfile.EnvError, match="REPLICAS=2: without TOPOLOGY=scaled, WORKERS says"):
        settings.read({"REPLICAS": "2"})


def test_gateways_share_one_port_and_nobody_else_does() -> None:
    found = parts("3")
    public = Counter(one.env["PORT"] for one in found.values() if "PORT" in one.env)
    assert public.pop("9000") == 3
    assert set(public.values()) == {1}
    for name, one in found.items():
        assert one.env.get("REUSE_PORT", "") == ("1" if name.startswith("gateway") else "")
    assert parts("1")["gateway"].env["REUSE_PORT"] == ""
    scaled = env(
        TOPOLOGY="scaled",
        NGINX_BIN="/x",
        NGINX_VERSION="",
        PGBOUNCER_BIN="/x",
        PGBOUNCER_VERSION="",
        PGBOUNCER_DIR="/x",
    )
    behind_nginx = stack.resolve(scaled, without=["prometheus"])
    assert not any(one.env.get("REUSE_PORT") for one in behind_nginx)


def test_every_process_has_a_name_and_an_admin_port_of_its_own_that_is_scraped() -> None:
    ours = [one for one in parts("3").values() if "INSTANCE" in one.env]
    assert len(ours) == 12
    assert len({one.env["INSTANCE"] for one in ours}) == 12
    targets = scraping.native_targets(env(WORKERS="3"))
    scraped = [target for part in scaling.REPLICATED for target in targets[part.upper()]]
    assert sorted(scraped) == sorted(f"127.0.0.1:{one.env['ADMIN_PORT']}" for one in ours)


def test_everybody_knows_all_processes_of_the_services_that_it_calls() -> None:
    found = parts("2")
    for name in ("gateway", "gateway-2"):
        assert found[name].env["AUTH_URLS"] == "http://127.0.0.1:9001,http://127.0.0.1:9201"
        assert found[name].env["UPLOAD_URLS"] == "http://127.0.0.1:9002,http://127.0.0.1:9202"
        assert set(found[name].after) == {"auth", "auth-2", "upload", "upload-2", "files", "files-2"}
    assert found["upload-2"].env["FILES_URLS"] == "http://127.0.0.1:9003,http://127.0.0.1:9203"
    assert found["upload-2"].env["UPLOAD_REPLICAS"] == "2"


def test_a_gateway_that_shares_its_port_is_asked_where_only_it_answers() -> None:
    found = parts("2")
    for name, port in (("gateway", 9010), ("gateway-2", 9210)):
        ready, live = found[name].ready, found[name].live
        assert ready and live and ready.http == live.http == f"http://127.0.0.1:{port}/live"
    alone = parts("1")["gateway"].ready
    assert alone and alone.http == "http://127.0.0.1:9000/ready"


def test_who_has_others_beside_it_says_that_it_leaves() -> None:
    assert {one.env["DRAIN_S"] for one in parts("2").values() if "INSTANCE" in one.env} == {scaling.DRAIN_S}
    assert not any("DRAIN_S" in one.env for one in parts("1").values())
    assert 0 < float(scaling.DRAIN_S) < REST_S


@pytest.mark.parametrize("workers", ["1", "4", "32"])
def test_every_pool_fits_into_its_database(workers: str) -> None:
    for part in scaling.POOLED:
        (word,) = [
            word for word in parts(workers)[f"pg-{part}"].command if word.startswith("max_connections=")
        ]
        most = int(word.partition("=")[2])
        assert most >= int(workers) * (PoolSize().most + 2) + 10


def test_only_what_runs_more_than_once_is_rolled() -> None:
    running = ["pg-auth", "auth", "upload", "upload-2", "files", "gateway", "gateway-2", "exporter-pg-upload"]
    assert roll.names(running) == ["gateway", "gateway-2", "upload", "upload-2"]
    with pytest.raises(StackError, match="WORKERS=2"):
        roll.names(["pg-auth", "auth", "upload", "files", "gateway"])


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "99900000 100000\n"}, None),
    ],
)
def test_a_containers_quota_bounds_the_cores(
    tmp_path: Path, files: Mapping[str, str], wanted: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores(tmp_path) == (wanted or cores(tmp_path / "none"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return new_desk(tmp_path)


def has_cores(desk: Desk, count: int) -> None:
    desk.put("docker", DOCKER.replace("*NCPU*) echo 2", f"*NCPU*) echo {count}"))


def admin_ports(env: Mapping[str, str], part: str) -> list[str]:
    return [env[scaling.variables(part, k)[1]] for k in range(1, scaling.replicas(env, part) + 1)]


# Compose with one file for each container: the ids of its processes, and each kill gives one a new id.
ROLLED = """#!/bin/sh
case "$*" in
*"compose version"*) echo 2.29.0 ;;
*"info --format"*) echo 2 ;;
*" cat /proc/1/task/1/children") part=${*#*exec -T }; cat "$FAKE_CHILDREN/${part%% *}" ;;
*" bash -c kill "*) part=${*#*exec -T } pid=${*##* }; part=${part%% *}
    echo "$part $pid" >>"$FAKE_CHILDREN/killed"
    sed "s/\\b$pid\\b/9$pid/" "$FAKE_CHILDREN/$part" >"$FAKE_CHILDREN/new"
    mv "$FAKE_CHILDREN/new" "$FAKE_CHILDREN/$part" ;;
esac
"""


class TestContainers:
    @pytest.mark.parametrize("count", [1, 2, 4, 7, 8, 16, 300])
    @pytest.mark.parametrize("workers", ["auto", "2", "32"])
    def test_as_many_as_the_other_start_up(self, desk: Desk, count: int, workers: str) -> None:
        """The same counts, ports, addresses and connections, on any machine."""
        has_cores(desk, count)
        done = desk.script(LOAD + "write_files", **WORKS, WORKERS=workers)
        assert done.returncode == 0, done.stderr
        written = envfile.read(desk.run_dir / "ports.env") | envfile.read(desk.run_dir / "compose.env")
        defaults = envfile.resolve(envfile.read(settings.PORTS), {})
        wanted = scaling.extended(defaults, {"WORKERS": workers}, count)
        for name in (*scaling.COUNTS.values(), *scaling.default_ports(wanted)):
            assert written[name] == wanted[name]
        for part in scaling.REPLICATED:
            name = part.upper()
            more = written[f"MORE_{name}_ADMIN_PORTS"]
            assert f"{written[f'{name}_ADMIN_PORT']}{more}".split(",") == admin_ports(wanted, part)
        for part in scaling.POOLED:
            name, host = part.upper(), f"http://{part}:"
            assert written[f"PG_{name}_CONNECTIONS"] == wanted[f"PG_{name}_CONNECTIONS"]
            inside = f"{host}{written[f'{name}_PORT']}{written[f'MORE_{name}_URLS']}"
            assert inside == wanted[f"{name}_URLS"].replace("http://127.0.0.1:", host)
            assert f"{written[f'{name}_PORT']}{written[f'MORE_{name}_PORTS']}" == inside.replace(host, "")
        assert written["MORE_GATEWAY_PORTS"] == ",9000" * (int(wanted["GATEWAY_PROCESSES"]) - 1)

    def test_every_process_is_scraped(self, desk: Desk) -> None:
        said = desk.script(LOAD + 'printf "%s" "$UPLOAD_TARGETS"', **WORKS, WORKERS="3").stdout
        assert json.loads(said) == ["upload:9012", "upload:9212", "upload:9232"]

    @pytest.mark.parametrize("workers", ["0", "33", "two", "1.5", "-1", "100", "09"])
    def test_what_is_no_number_of_processes_is_refused(self, desk: Desk, workers: str) -> None:
        said = f"WORKERS='{workers}': must be auto or a number, 1 to 32"
        assert said in desk.script(LOAD, **WORKS, WORKERS=workers).stderr
        with pytest.raises(envfile.EnvError, match=said):
            settings.read({"WORKERS": workers})

    @pytest.mark.parametrize("overlay", ["scaled", "limits", "faults"])
    def test_with_an_overlay_each_container_runs_one_process(self, desk: Desk, overlay: str) -> None:
        refused = desk.script(LOAD, **WORKS, OVERLAYS=overlay, WORKERS="2")
        assert "each container runs one process" in refused.stderr
        has_cores(desk, 64)
        said = desk.script(LOAD + 'printf "%s" "$MORE_UPLOAD_PORTS"', **WORKS, OVERLAYS=overlay)
        assert (said.returncode, said.stdout) == (0, ""), said.stderr

    def test_each_process_has_the_memory_of_one_and_the_choice_is_kept(self, desk: Desk) -> None:
        ask = 'echo "$MEMORY_UPLOAD_MB $MEMORY_PG_UPLOAD_MB $(memory_budget)"'
        limits = {name: int(value) for name, value in MEMORY.items() if name != "MEMORY_BENCH_MB"}
        ours = sum(limits[f"MEMORY_{part.upper()}_MB"] for part in scaling.REPLICATED)
        said = desk.script(f"{LOAD} write_files; {ask}", **WORKS, WORKERS="3").stdout
        assert said.split() == [
            str(3 * limits["MEMORY_UPLOAD_MB"]),
            str(limits["MEMORY_PG_UPLOAD_MB"] + 160),
            str(sum(limits.values()) + 2 * ours + 3 * 160),
        ]
        assert desk.script(LOAD + ask, **WORKS).stdout == said, "asked later, without saying it again"

    def test_each_process_of_a_container_that_has_several_is_restarted_in_turn(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        children = tmp_path / "children"
        children.mkdir()
        for part, ids in {"gateway": "7 8 ", "auth": "", "upload": "17 18 19 ", "files": ""}.items():
            (children / part).write_text(ids)
        desk.put("docker", ROLLED)
        roll_now = LOAD + "ROLL_SETTLE_S=0; roll"
        done = desk.script(roll_now, **WORKS, FAKE_CHILDREN=str(children), WORKERS="3")
        assert done.returncode == 0, done.stderr
        killed = (children / "killed").read_text().split("\n")[:-1]
        assert killed == ["gateway 7", "gateway 8", "upload 17", "upload 18", "upload 19"]
        assert "gateway (process 7) restarted after" in done.stdout
        for part in ("gateway", "upload"):
            (children / part).write_text("")
        alone = desk.script(roll_now, **WORKS, FAKE_CHILDREN=str(children))
        assert "make up WORKERS=2" in alone.stderr
