"""Finding the system: one sentence when it is not there, one line in and out of the supervisor."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compose import settings
from compose.credentials import generate
from loadtests.harness.records.vocabulary import service_of
from loadtests.harness.running.session import AlreadyRunning, only_one, run_id
from loadtests.harness.testbeds.native_testbed import control
from loadtests.harness.testbeds.store_route import StoreRoute
from loadtests.harness.testbeds.system import (
    _entry,
    _url,
    find_k6,
    find_system,
    find_system_async,
    system_of,
)
from loadtests.harness.testbeds.testbed import PARTS, SystemNotUp, TestbedRefused

pytestmark = pytest.mark.unit


def test_no_state_means_make_up(tmp_path: Path) -> None:
    with pytest.raises(SystemNotUp, match="make up"):
        find_system({}, tmp_path)


def test_a_system_in_containers_is_measured_from_one(tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "runtime").write_text("compose\n")
    with pytest.raises(SystemNotUp, match="make stress"):
        find_system({}, tmp_path)


def test_parts_that_are_not_healthy_are_named(tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    parts = {name: {"state": "healthy", "pid": os.getpid()} for name in PARTS}
    state = {"parts": parts, "supervisor_pid": os.getpid()}
    (tmp_path / ".run" / "state.json").write_text(json.dumps(state))
    with pytest.raises(SystemNotUp, match=r"minio missing.*make up"):
        find_system({}, tmp_path)


@pytest.fixture
def states(tmp_path: Path) -> Callable[..., None]:
    """Writes what the supervisor of a testbed in `.run` would: all well, but for these states."""
    (tmp_path / ".run").mkdir()

    def write(**unwell: str) -> None:
        known = dict.fromkeys((*PARTS, "minio"), "healthy") | unwell
        parts = {name: {"state": state, "pid": os.getpid()} for name, state in known.items()}
        content = json.dumps({"parts": parts, "supervisor_pid": os.getpid()})
        (tmp_path / ".run" / "state.json").write_text(content)

    return write


def unwanted(seconds: float) -> None:
    raise AssertionError(f"it waits {seconds} s")


class TestMomentsOfBusyMachines:
    @pytest.mark.parametrize("state", ["unhealthy", "starting"])
    def test_a_part_that_runs_is_waited_for(
        self, tmp_path: Path, states: Callable[..., None], state: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        states(gateway=state)
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                states()

        environ = {**settings.read({"WORKERS": "1"}).env, **generate()}
        found = find_system(environ, tmp_path, clock=lambda: sum(waits), sleep=sleep)
        assert found.run_dir == tmp_path / ".run"
        assert len(waits) == 3
        assert capsys.readouterr().err == "gateway runs, but not well; waiting up to 20 s\n"

    def test_not_for_ever(self, tmp_path: Path, states: Callable[..., None]) -> None:
        states(gateway="unhealthy", auth="starting")
        waits: list[float] = []
        with pytest.raises(SystemNotUp) as caught:
            find_system({}, tmp_path, clock=lambda: sum(waits), sleep=waits.append)
        assert sum(waits) == 20
        assert str(caught.value) == (
            "gateway, auth run, but not well after 20 s. "
            "What is wrong says: make status, make logs NAME=gateway"
        )

    @pytest.mark.parametrize(
        "state", ["waiting", "restarting", "stopping", "stopped", "paused", "failed", "given-up", "exited"]
    )
    def test_a_part_that_does_not_run_is_refused_at_once(
        self, tmp_path: Path, states: Callable[..., None], state: str
    ) -> None:
        states(gateway="unhealthy", upload=state)
        with pytest.raises(SystemNotUp) as caught:
            find_system({}, tmp_path, sleep=unwanted)
        assert str(caught.value) == f"The system is not up (upload {state}). Start it with: make up"

    def test_who_only_looks_does_not_wait(self, tmp_path: Path, states: Callable[..., None]) -> None:
        states(gateway="unhealthy")
        with pytest.raises(SystemNotUp, match=r"^gateway runs, but not well\. What is wrong says"):
            find_system({}, tmp_path, wait_s=0, sleep=unwanted)

    async def test_inside_an_event_loop_others_go_on_meanwhile(
        self, tmp_path: Path, states: Callable[..., None]
    ) -> None:
        states(gateway="unhealthy")
        environ = {**settings.read({"WORKERS": "1"}).env, **generate()}
        waiting = asyncio.create_task(
            find_system_async({**environ, "VAULTBENCH_RUN_DIR": str(tmp_path / ".run")})
        )
        await asyncio.sleep(0)
        assert not waiting.done()
        states()
        assert (await waiting).run_dir == tmp_path / ".run"


def test_words_of_another_testbed_are_refused(tmp_path: Path) -> None:
    """The load would go to one, and the audit to the other."""
    folder = tmp_path / "second"
    folder.mkdir()
    parts = {name: {"state": "healthy", "pid": os.getpid()} for name in (*PARTS, "minio")}
    (folder / "state.json").write_text(json.dumps({"parts": parts, "supervisor_pid": os.getpid()}))
    (folder / "ports.env").write_text(
        "PORT_SHIFT=1000\nGATEWAY_HOST=::1\nGATEWAY_PORT=10000\nS3_PORT=10100\n"
    )
    words = {"VAULTBENCH_RUN_DIR": str(folder), "PORT_SHIFT": "1000", "GATEWAY_HOST": "[::1]", **generate()}
    with pytest.raises(SystemNotUp) as caught:
        find_system({**words, "GATEWAY_PORT": "9500", "S3_PORT": "9600"}, settings.ROOT)
    assert str(caught.value).splitlines()[:2] == [
        f"GATEWAY_PORT=9500, and the testbed in {folder} has 10000",
        f"S3_PORT=9600, and the testbed in {folder} has 10100",
    ]
    assert "VAULTBENCH_RUN_DIR" in str(caught.value).splitlines()[2]
    assert find_system({**words, "GATEWAY_PORT": "10000"}, settings.ROOT).run_dir == folder


async def test_control_sends_one_line_and_reads_one(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        refused = b"refuse" in heard[-1]
        writer.write(json.dumps({"ok": not refused, "error": "no such part"}).encode() + b"\n")
        await writer.drain()
        writer.close()

    deep = tmp_path / ("long-name-" * 12)  # longer than a socket's path may be
    deep.mkdir()
    descriptor = os.open(deep, os.O_RDONLY)
    server = await asyncio.start_unix_server(answer, f"/proc/self/fd/{descriptor}/ctl.sock")
    try:
        assert (await control(deep, {"op": "restart", "part": "upload"}))["ok"]
        with pytest.raises(TestbedRefused, match="no such part"):
            await control(deep, {"op": "refuse"})
    finally:
        server.close()
        await server.wait_closed()
        os.close(descriptor)
    assert json.loads(heard[0]) == {"op": "restart", "part": "upload"}


def test_k6_is_the_one_that_the_start_up_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "k6"
    own.write_text("#!/bin/sh\necho 'k6 v1.2.3'\n")
    own.chmod(0o755)
    monkeypatch.setenv("K6", str(own))
    assert find_k6({}) == own
    assert find_k6({"BENCH_PROJECT": "x", "PATH": str(tmp_path)}) == own
    own.write_text("#!/bin/sh\necho something else\n")
    with pytest.raises(SystemNotUp, match="the reason is above"):
        find_k6({})
    with pytest.raises(SystemNotUp, match="not in the image"):
        find_k6({"BENCH_PROJECT": "x", "PATH": "/nowhere"})


def test_two_runs_exclude_each_other(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(AlreadyRunning), only_one(tmp_path):
        pass


def test_run_ids_sort_by_time() -> None:
    assert run_id("proxy-or-direct", "ci", 0.0).endswith("-proxyordirect-ci")
    assert run_id("ab", "ci", 0.0) < run_id("ab", "ci", 90.0)


def test_every_replica_is_found_where_there_are_several(tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    parts = {name: {"state": "healthy", "pid": os.getpid()} for name in (*PARTS, "minio")}
    (tmp_path / ".run" / "state.json").write_text(json.dumps({"parts": parts, "supervisor_pid": os.getpid()}))
    chosen = settings.read({"TOPOLOGY": "scaled", "REPLICAS": "2"}).env
    system = find_system({**chosen, **generate()}, tmp_path)
    assert system.gateway_url == "http://127.0.0.1:9080"
    assert system.replicas("upload") == {
        "upload": "http://127.0.0.1:9012",
        "upload-2": "http://127.0.0.1:9212",
    }
    assert len(system.admin_urls) == 7
    assert [service_of(part) for part in ("upload-2", "pg-upload", "files")] == [
        "upload",
        "pg-upload",
        "files",
    ]


def test_every_process_is_found_without_a_topology_too(tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    parts = {name: {"state": "healthy", "pid": os.getpid()} for name in (*PARTS, "minio")}
    (tmp_path / ".run" / "state.json").write_text(json.dumps({"parts": parts, "supervisor_pid": os.getpid()}))
    system = find_system({**settings.read({"WORKERS": "2"}).env, **generate()}, tmp_path)
    assert system.gateway_url == "http://127.0.0.1:9000"
    assert system.parts("gateway") == list(system.replicas("gateway")) == ["gateway", "gateway-2"]
    assert system.replicas("auth")["auth-2"] == "http://127.0.0.1:9211"
    assert len(system.admin_urls) == 8


def test_in_containers_the_processes_of_a_service_share_a_host_and_a_restart(tmp_path: Path) -> None:
    chosen = {**settings.read({"WORKERS": "2"}).env, **generate()}
    (tmp_path / ".run").mkdir()
    parts = {name: {"state": "healthy", "pid": os.getpid()} for name in (*PARTS, "minio")}
    (tmp_path / ".run" / "state.json").write_text(json.dumps({"parts": parts, "supervisor_pid": os.getpid()}))
    alone = find_system(chosen, tmp_path)
    inside = replace(alone, environ={**alone.environ, "BENCH_PROJECT": "vaultbench"})
    assert inside.parts("upload") == ["upload"]
    assert _url(inside.environ, "upload-2", 9212) == "http://upload:9212"
    scaled = {**inside.environ, "TOPOLOGY": "scaled"}
    assert replace(inside, environ=scaled).parts("upload") == ["upload", "upload-2"]
    assert _url(scaled, "upload-2", 9012) == "http://upload-2:9012"


@pytest.mark.parametrize(
    ("chosen", "entry"),
    [
        ({}, "http://gateway:9000"),
        ({"TOPOLOGY": "scaled"}, "http://nginx:9080"),
        ({"FAULTS_GATEWAY_PORT": "8600"}, "http://toxiproxy:8600"),
    ],
)
def test_in_containers_clients_go_through_what_stands_in_front(chosen: dict[str, str], entry: str) -> None:
    assert _entry({**settings.read({}).env, "BENCH_PROJECT": "vaultbench", **chosen}) == entry


@pytest.mark.parametrize(
    ("chosen", "entry"),
    [({}, "minio:9100"), ({"FAULTS_PUBLIC_STORE_PORT": "8611"}, "toxiproxy:8611")],
)
def test_in_containers_direct_uploads_go_through_what_stands_in_front(
    tmp_path: Path, chosen: dict[str, str], entry: str
) -> None:
    inside = {"BENCH_PROJECT": "vaultbench", "S3_HOST": "minio", **chosen}
    found = system_of({**settings.read({}).env, **generate(), **inside}, tmp_path, tmp_path, "vaultbench")
    assert found.store == StoreRoute("localhost:9100", entry)
