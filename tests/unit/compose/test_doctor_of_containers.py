"""`make doctor` on a host with Docker: special hosts, each with its remedy."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from compose import ports, settings
from tests.unit.compose.choice import DOCKER, WORKS, Desk, new_desk

pytestmark = pytest.mark.unit
# One that publishes whatever is asked for, for another testbed.
CONTAINERS = DOCKER.replace(
    'case "$1 ${2-}" in', 'case "$*" in *publish=*) echo /data/third; exit ;; esac\ncase "$1 ${2-}" in', 1
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return new_desk(tmp_path)


class TestDoctor:
    def found(self, desk: Desk, **more: str) -> dict[str, tuple[str, str]]:
        done = desk.script("doctor --json || true", **WORKS, **more)
        return {one["text"]: (one["status"], one["remedy"]) for one in json.loads(done.stdout)}

    def test_a_plain_host_is_well(self, desk: Desk) -> None:
        lines = self.found(desk)
        of_this_machine = ("free", "is taken by")  # its disk and its ports
        told = {
            text: line for text, line in lines.items() if not any(word in text for word in of_this_machine)
        }
        assert {status for status, _ in told.values()} == {"ok"}

    @pytest.mark.parametrize(
        ("made_up", "text", "status", "remedy"),
        [
            ({"FAKE_KERNEL": "5.15-microsoft-standard-WSL2"}, "WSL2", "ok", ""),
            ({"FAKE_MACHINE": "aarch64"}, "arm64", "warn", "other arm64 machines only"),
            (
                {"DOCKER_HOST": "tcp://far:1"},
                "remote Docker daemon: tcp://far:1",
                "warn",
                "unset DOCKER_HOST",
            ),
            (
                {"FAKE_SYSTEM": "Docker Desktop", "FAKE_MEMORY": "4100000000"},
                "Docker Desktop has 4100 MB of memory",
                "warn",
                "Settings, Resources, Memory",
            ),
            (
                {"FAKE_MEMORY": "1000000000"},
                "memory: 1000 MB, but the limits add up",
                "warn",
                "give Docker more",
            ),
            (
                {"FAKE_MEMORY": "5000000000"},
                "but with the 2147 MB of a run",
                "warn",
                "MEMORY_BENCH_MB=1024",
            ),
        ],
    )
    def test_special_hosts_and_their_remedies(
        self, desk: Desk, made_up: dict[str, str], text: str, status: str, remedy: str
    ) -> None:
        (line,) = [one for one in self.found(desk, **made_up).items() if text in one[0]]
        assert line[1][0] == status
        assert remedy in line[1][1]

    @pytest.mark.parametrize(
        ("chosen", "images"),
        [
            ({}, set()),
            ({"CACHE": "redis", "POOLER": "pgbouncer"}, {"redis", "edoburu/pgbouncer"}),
            ({"TOPOLOGY": "scaled"}, {"nginx", "edoburu/pgbouncer"}),
            ({"OVERLAYS": "faults"}, {"vaultbench/toxiproxy"}),
        ],
    )
    def test_images_that_settings_ask_for(self, desk: Desk, chosen: dict[str, str], images: set[str]) -> None:
        told = {text.partition(":")[0] for text in self.found(desk, **chosen) if "not here yet" in text}
        assert told - {text.partition(":")[0] for text in self.found(desk)} == images

    def test_the_port_of_an_overlay(self, desk: Desk) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            chosen = {"TOPOLOGY": "scaled", "NGINX_PORT": str(port)}
            (line,) = [one for one in self.found(desk, **chosen).items() if f"port {port} " in one[0]]
        assert "(NGINX_PORT) is taken by" in line[0]
        status, remedy = line[1]
        said = re.fullmatch(
            r"end that process, or move ours: make up NGINX_PORT=(\d+), or PORT_SHIFT=(\d+) for all of them",
            remedy,
        )
        assert status == "fail" and said is not None
        assert ports.busy([int(said[1])]) == []
        shift = int(said[2])
        assert shift in settings.SHIFTS
        names = ("GATEWAY_PORT", "NGINX_PORT", "S3_PORT", "S3_CONSOLE_PORT", "PROMETHEUS_PORT")
        moved = settings.addresses({"PORT_SHIFT": str(shift)})
        assert ports.busy([int(moved[name]) for name in names]) == []

    def test_a_port_of_another_testbed_is_told_with_its_folder(self, desk: Desk) -> None:
        held = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        held += "print(s.getsockname()[1], flush=True); sys.stdin.read()"
        supervisor = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
        with subprocess.Popen(
            [sys.executable, "-c", supervisor, "-m", "compose.supervisor", "/data/other testbed"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdin and process.stdout
            port = process.stdout.readline().strip()
            native = self.found(desk, GATEWAY_PORT=port)
            desk.put("docker", CONTAINERS)
            containers = self.found(desk, GATEWAY_PORT=port)
            process.stdin.close()
        said = f"port {port} (GATEWAY_PORT) is taken by "
        assert any(text.startswith(f"{said}the testbed in /data/other testbed, process ") for text in native)
        assert any(
            text.startswith(f"{said}the testbed in /data/third (containers), the testbed in")
            for text in containers
        )

    @pytest.mark.parametrize(
        ("words", "status", "kept"),
        [
            ({}, "ok", ""),
            (
                {"CHUNK_STORE": "disk"},
                "warn",
                "62200 MB are needed (with CHUNK_STORE=disk or BODY_MODE=spooled",
            ),
            ({"BODY_MODE": "spooled"}, "warn", "uploads leave a tenth of the disk unused)"),
        ],
    )
    def test_a_tenth_of_the_disk_stays_free_only_where_the_service_writes_files(
        self, desk: Desk, words: dict[str, str], status: str, kept: str
    ) -> None:
        disk = "/dev/x 512000000 467000000 45000000 92% /"  # blocks of 1,024 bytes, taken for thousands
        desk.put(
            "df",
            f"#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho '{disk}'\n",
        )
        ((text, (found, _)),) = [line for line in self.found(desk, **words).items() if " MB free" in line[0]]
        assert (found, text.startswith("45000 MB free")) == (status, True)
        assert kept in text

    def test_a_checkout_on_a_windows_drive(self, desk: Desk) -> None:
        desk.put("stat", "#!/bin/sh\necho v9fs\n")
        (line,) = [one for one in self.found(desk).items() if "Windows drive" in one[0]]
        assert line[1] == ("warn", "clone it inside Linux, for example into ~/vaultbench")

    def test_secrets_that_others_can_read(self, desk: Desk) -> None:
        desk.secrets.write_text("JWT_SECRET=x\n")
        desk.secrets.chmod(0o644)
        assert self.found(desk)["secrets.env can be read by others"] == ("warn", "chmod 600 secrets.env")

    def test_the_report_holds_what_is_wrong_and_no_secret(self, desk: Desk) -> None:
        desk.secrets.write_text("PG_AUTH_PASSWORD=hidden-in-the-file\nJWT_SECRET='hidden in quotes'\n")
        log = desk.run_dir / "logs" / "build-minio.log"
        log.parent.mkdir(parents=True)
        (desk.run_dir / ".vaultbench").touch()
        said = (
            "start", "login hidden-in-the-file and hidden in quotes", "PUT /a?X-Amz-Signature=0abc1&x=1",
            "Authorization: Bearer abc.def", "at http://me:hidden-in-a-url@proxy:3128/", "the reason",
        )  # fmt: skip
        log.write_text("too old\n" * 40 + "\n".join(said) + "\n")
        proxy = {"HTTPS_PROXY": "http://me:hidden-in-a-url@proxy:3128", "FAKE_COMPOSE": "2"}
        done = desk.script("doctor", REPORT="1", **proxy)
        assert done.returncode == 0, done.stderr
        text = (desk.run_dir / "report.txt").read_text()
        assert f"{desk.run_dir}/report.txt can be attached" in done.stdout
        for shown in ("no daemon answers", "the reason", "umask", "GATEWAY_PORT=9000", "@proxy:3128", "&x=1"):
            assert shown in text
        for hidden in ("hidden", "0abc1", "abc.def"):
            assert hidden not in text
        assert text.count("too old") == 40 - len(said)

    def test_a_failure_is_exit_1(self, desk: Desk) -> None:
        done = desk.script("doctor", FAKE_COMPOSE="2")
        assert done.returncode == 1
        assert "fail  docker   no daemon answers" in done.stdout

    def test_nothing_is_changed(self, desk: Desk) -> None:
        self.found(desk)
        assert not desk.run_dir.exists()
        assert not desk.secrets.exists()
