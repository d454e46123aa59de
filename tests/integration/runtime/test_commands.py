"""The commands as people type them, with real programs, in a folder and on ports of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compose import life, ports, process, run_folder, settings, store
from compose.envfile import read as read_env
from compose.settings import ROOT
from tests.leftovers import RUN, owned_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a person sits: a run folder, a secrets file, ports."""

    run_dir: Path
    env: dict[str, str]

    def type(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "compose", *command]
        env = {**os.environ, **self.env, **more}
        return subprocess.run(arguments, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    def good(self, *command: str, **more: str) -> str:
        done = self.type(*command, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def bad(self, *command: str, **more: str) -> str:
        done = self.type(*command, **more)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def parts(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = life.read_state(self.run_dir)["parts"]
        return found

    def listening(self) -> list[int]:
        return [
            taken.port
            for taken in ports.busy([int(self.env[name]) for name in self.env if name.endswith("_PORT")])
        ]


@contextmanager
def new_desk() -> Iterator[Desk]:
    with owned_folder() as folder:
        names = [key for key in read_env(settings.PORTS) if key.endswith("_PORT")]
        numbers = dict(zip(names, map(str, ports.free(len(names))), strict=True))
        places = {"VAULTBENCH_RUN_DIR": str(folder / RUN), "VAULTBENCH_ENV_FILE": str(folder / "env")}
        made = Desk(folder / RUN, {**numbers, **places, "PROMETHEUS_SOURCE": "off"})
        yield made
        made.type("clean", ALL="1")


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A new one."""
    with new_desk() as made:
        yield made


@pytest.fixture(scope="module")
def busy_desk() -> Iterator[Desk]:
    """One where everything runs; each test brings it up again first, which costs nothing when it is."""
    with new_desk() as made:
        yield made


def test_a_life_from_nothing_to_nothing(desk: Desk) -> None:
    assert "nothing was running" in desk.good("down")
    assert "no data to delete" in desk.good("clean")

    told = desk.good("up")
    assert "ready after" in told
    assert desk.env["GATEWAY_PORT"] in told
    first = desk.parts()
    ended = {name for name, row in first.items() if row["state"] == "done"}
    assert ended == {"roles", "store-key"}
    assert {row["state"] for name, row in first.items() if name not in ended} == {"healthy"}
    databases, python_parts = {"pg-auth", "pg-upload", "pg-files"}, {"gateway", "auth", "upload", "files"}
    assert set(first) == ended | databases | python_parts | {store.chosen(os.environ)}
    assert read_env(desk.run_dir / "ports.env")["GATEWAY_URL"].endswith(desk.env["GATEWAY_PORT"])
    secrets = Path(desk.env["VAULTBENCH_ENV_FILE"]).read_bytes()
    assert Path(desk.env["VAULTBENCH_ENV_FILE"]).stat().st_mode & 0o777 == 0o600

    assert "ready after" in desk.good("up")
    assert {name: row["pid"] for name, row in desk.parts().items()} == {
        n: row["pid"] for n, row in first.items()
    }
    assert "healthy" in desk.good("status")
    assert "upload.log" in desk.good("logs", NAME="upload")
    assert "no log of 'nobody'" in desk.bad("logs", NAME="nobody")

    refused = desk.bad("up", LOG_LEVEL="debug")
    assert "LOG_LEVEL: runs with its default, asked for debug" in refused
    assert "Run `make down`, then `make up" in refused

    desk.good("down")
    assert not [row["pid"] for row in first.values() if process.alive(row["pid"], row["start_ticks"])]
    assert desk.listening() == []

    assert "ready after" in desk.good("up")
    assert Path(desk.env["VAULTBENCH_ENV_FILE"]).read_bytes() == secrets

    assert f"deleting {desk.run_dir}" in desk.good("clean")
    assert not desk.run_dir.exists()
    assert Path(desk.env["VAULTBENCH_ENV_FILE"]).exists()
    assert desk.listening() == []


def test_no_secret_is_visible_to_other_users(busy_desk: Desk) -> None:
    busy_desk.good("up")
    secrets = list(read_env(Path(busy_desk.env["VAULTBENCH_ENV_FILE"])).values())
    shown = [process.command_line(row["pid"]) for row in busy_desk.parts().values()]
    shown += [path.read_text(errors="replace") for path in (busy_desk.run_dir / "logs").iterdir()]
    shown += [(busy_desk.run_dir / name).read_text() for name in ("state.json", "prometheus.yml")]
    assert not [secret for secret in secrets for text in shown if secret in text]


def test_a_refused_up_changes_nothing_that_others_read(busy_desk: Desk) -> None:
    busy_desk.good("up")
    read_by_others = [busy_desk.run_dir / name for name in ("ports.env", "prometheus.yml", "processes.yml")]
    before = [path.read_bytes() for path in read_by_others]
    own = {int(value) for name, value in busy_desk.env.items() if name.endswith("_PORT")}
    other = next(port for port in ports.free(len(own) + 1) if port not in own)
    told = busy_desk.bad("up", GATEWAY_PORT=str(other))
    assert "other settings" in told and "make down" in told
    assert [path.read_bytes() for path in read_by_others] == before


def test_a_killed_supervisor_and_a_killed_service_are_repaired(busy_desk: Desk) -> None:
    busy_desk.good("up")
    before = busy_desk.parts()
    os.kill(life.read_state(busy_desk.run_dir)["supervisor_pid"], signal.SIGKILL)
    assert "ready after" in busy_desk.good("up")
    assert not [row for row in before.values() if process.alive(row["pid"], row["start_ticks"])]


def test_killed_half_way_the_next_up_goes_on(desk: Desk) -> None:
    env = {**os.environ, **desk.env}
    with subprocess.Popen(
        [sys.executable, "-m", "compose", "up"], cwd=ROOT, env=env, stdout=subprocess.PIPE
    ) as up:
        assert up.stdout is not None
        for line in up.stdout:
            if b"starting" in line:
                break
        up.kill()
    assert "ready after" in desk.good("up")


def test_a_busy_port_is_named_with_its_owner_and_nothing_starts(desk: Desk) -> None:
    # As servers do: connections of the test before may still linger on the port.
    with socket.create_server(("127.0.0.1", int(desk.env["FILES_ADMIN_PORT"]))):
        told = desk.bad("up")
    assert f"port {desk.env['FILES_ADMIN_PORT']} is taken by process {os.getpid()}: " in told
    assert not life.locked(desk.run_dir)
    assert life.read_state(desk.run_dir) == {}


def test_two_testbeds_side_by_side_with_the_same_words_in_every_command(busy_desk: Desk) -> None:
    busy_desk.good("up")
    before = busy_desk.parts()
    defaults = [int(value) for name, value in read_env(settings.PORTS).items() if name.endswith("_PORT")]
    first = 1_000 + os.getpid() % 60 * 100  # another suite begins elsewhere; all stay below what it is given
    shift = next(by for by in range(first, 10_700, 100) if not ports.busy([one + by for one in defaults]))
    with owned_folder() as folder:
        words = {
            "VAULTBENCH_RUN_DIR": str(folder / RUN),
            "VAULTBENCH_ENV_FILE": str(folder / "env"),
            "PORT_SHIFT": str(shift),
            "GATEWAY_HOST": "127.0.0.2",
        }
        second = Desk(folder / RUN, {**words, "PROMETHEUS_SOURCE": "off"})
        address = f"http://127.0.0.2:{9000 + shift}"
        try:
            assert address in second.good("up")
            assert f"make status VAULTBENCH_RUN_DIR={busy_desk.run_dir}" in second.good("status")
            assert f"{address} (supervisor " in busy_desk.good("status")
            measured = subprocess.run(
                [sys.executable, "-m", "loadtests", "smoke"],
                cwd=ROOT,
                env={**os.environ, **second.env},
                capture_output=True,
                text=True,
                check=False,
            )
            assert measured.returncode == 0, measured.stdout + measured.stderr
            taken = second.bad("up", VAULTBENCH_RUN_DIR=str(folder / "third"), GATEWAY_HOST="127.0.0.1")
            assert f"S3_PORT: port {9100 + shift} is taken by the testbed in {second.run_dir} (" in taken
            assert re.search(r"^ +make up .*S3_PORT=\d+", taken, re.MULTILINE)
            # 100 further on the second's store is where the gateway would be.
            near = second.bad("up", VAULTBENCH_RUN_DIR=str(folder / "third"), PORT_SHIFT=str(shift + 100))
            assert f"GATEWAY_PORT: port {9100 + shift} is taken by the testbed in {second.run_dir} (" in near
            (free,) = re.findall(r"^ +make up PORT_SHIFT=(\d+) ", near, re.MULTILINE)
            assert ports.busy([one + int(free) for one in defaults]) == []
            assert "stopped" in second.good("down")
        finally:
            second.type("clean", ALL="1")
    assert busy_desk.parts().keys() == before.keys()
    assert [row["pid"] for row in busy_desk.parts().values()] == [row["pid"] for row in before.values()]


def test_an_address_that_this_machine_has_not_is_refused_at_once(desk: Desk) -> None:
    told = desk.bad("up", GATEWAY_HOST="192.0.2.1")
    assert f"GATEWAY_PORT: port {desk.env['GATEWAY_PORT']} of 192.0.2.1 cannot be had" in told
    assert "GATEWAY_HOST must be an address of this machine" in told and "make up" not in told
    assert life.read_state(desk.run_dir) == {}


def test_lost_secrets_beside_data_stop_the_start(desk: Desk) -> None:
    run_folder.own(desk.run_dir)
    cluster = desk.run_dir / "pg" / "auth"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    assert "make clean" in desk.bad("up")
    assert not Path(desk.env["VAULTBENCH_ENV_FILE"]).exists()


def test_wrong_settings_are_all_told_at_once(desk: Desk) -> None:
    told = desk.bad("up", RUNTIME="vm", AUTH_PORT="many", K6="/no/such/k6")
    assert all(name in told for name in ("RUNTIME='vm'", "AUTH_PORT='many'", "K6='/no/such/k6'"))


def test_containers_are_started_by_make_only(desk: Desk) -> None:
    assert "make up RUNTIME=compose starts containers" in desk.bad("up", RUNTIME="compose")


def test_a_lost_part_is_red_in_status_with_its_last_words(busy_desk: Desk) -> None:
    busy_desk.good("up")
    pid = busy_desk.parts()["pg-upload"]["pid"]
    shutil.rmtree(busy_desk.run_dir / "pg" / "upload")
    os.kill(pid, signal.SIGKILL)
    while busy_desk.type("status").returncode == 0:  # five deaths take seconds
        assert life.locked(busy_desk.run_dir)
    told = busy_desk.bad("status")
    assert "pg-upload: given-up" in told
    log = (busy_desk.run_dir / "logs" / "pg-upload.log").read_text()
    assert log.splitlines()[-1] in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the databases to another account")
def test_root_below_a_private_home(desk: Desk) -> None:
    private = desk.run_dir.parent / "home"
    private.mkdir(mode=0o700)
    told = desk.good("up", VAULTBENCH_RUN_DIR=str(private / "run"))
    assert "ready after" in told
    assert not (private / "run" / "pg").exists()
    assert private.stat().st_mode & 0o777 == 0o700
    cleaned = desk.good("clean", VAULTBENCH_RUN_DIR=str(private / "run"))
    assert cleaned.count("deleting") == 2


def test_what_runs_is_seen_on_one_screen_without_prometheus_too(busy_desk: Desk) -> None:
    busy_desk.good("up")
    lines = busy_desk.good("top", "--once").splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert {"gateway", "auth", "upload", "files", store.chosen(os.environ)} <= {
        line.split()[0] for line in lines if line
    }
    assert "no answer from Prometheus" in " ".join(" ".join(lines).split())
    assert "alerts    unknown: Prometheus is off" in busy_desk.good("status")


def test_ctrl_c_ends_the_live_view_with_success(busy_desk: Desk) -> None:
    busy_desk.good("up")
    env = {**os.environ, **busy_desk.env}
    command = [sys.executable, "-m", "compose", "top"]
    # A shell script's own background jobs are born deaf to Ctrl-C, and this suite may be one.
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as top:  # fmt: skip
        assert top.stdout is not None
        while "process" not in top.stdout.readline():
            assert top.poll() is None
        top.send_signal(signal.SIGINT)
        try:
            assert top.wait(60) == 0
        finally:
            top.kill()


def test_nothing_to_watch_and_nothing_to_follow(desk: Desk) -> None:
    assert "nothing runs; make up starts it" in desk.bad("top", "--once")
    wanted = "44016b52-f120-4bf7-8570-71f5bc369a49"
    assert f"no log has a line about {wanted}" in desk.bad("trace", ID=wanted)
    assert "is no id; expected an upload_uuid" in desk.bad("trace", ID="chunk")
    assert "make trace ID=" in desk.bad("trace")


def test_prometheus_accepts_its_configuration_and_sees_all(desk: Desk) -> None:
    del desk.env["PROMETHEUS_SOURCE"]
    desk.good("up")
    told = desk.good("status")
    assert all(f"vaultbench/{name}: up" in told for name in ("gateway", "auth", "upload", "files"))
    assert ("minio: up" in told) == (store.chosen(os.environ) == store.MINIO)  # the others have no metrics
    assert re.search(r"^alerts    (none|pending|firing)", told, re.MULTILINE)
    frame = desk.good("top", "--once")
    assert re.search(r"^proxy-chunked +0\.0 ", frame, re.MULTILINE)
    assert "nothing is measured" in frame
    row = desk.parts()["prometheus"]
    assert row["version"][0] in "23"
    promtool = Path(process.command_line(row["pid"]).split()[0]).with_name("promtool")
    if promtool.exists():
        asked = [str(promtool), "check", "config", str(desk.run_dir / "prometheus.yml")]
        assert "SUCCESS" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
