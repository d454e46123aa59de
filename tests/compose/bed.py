"""A testbed of containers: own project, own ports, own folder, started by make on a host without Python."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose import envfile, ports, settings
from compose.settings import ROOT
from tests.compose import engine
from tests.unit.compose.choice import new_desk, typed
from tests.unit.compose.words import inherited

UP_WITHIN_S, HEALTHY_WITHIN_S = 1500, 90
OURS = ("auth", "upload", "files", "gateway")
# Prometheus asks this one for its health; in its image is nothing that could.
UNASKED = "exporter-processes"
EXPORTERS = ("exporter-pg-auth", "exporter-pg-upload", "exporter-pg-files", "exporter-host", UNASKED)
PARTS = ("pg-auth", "pg-upload", "pg-files", "minio", *OURS, "prometheus", *EXPORTERS)
HEALTH = dict.fromkeys((*PARTS, "grafana"), "healthy") | {UNASKED: "running"}
OVERLAY_PORTS = ("TOXIPROXY_PORT", "FAULTS_GATEWAY_PORT", "FAULTS_PUBLIC_STORE_PORT")
# What the person at the machine has set for their network and their Docker.
HANDED_ON = (
    *("HOME", "DOCKER_CONFIG", "DOCKER_BUILDKIT", "EXTRA_CA", "MINIO_IMAGE", "GOPROXY", "GOSUMDB"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)


@dataclass(frozen=True, slots=True)
class Bed:
    """`env` is all that the commands get: its PATH has the small programs of every host, and docker. What is
    no variable of the network or of Docker stands behind the target."""

    folder: Path
    env: dict[str, str]

    def make(self, *words: str, timeout_s: float = 300, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.command(*words, **more), timeout_s=timeout_s)

    def command(self, *words: str, **more: str) -> list[str]:
        """make with a target and everything that stands behind it."""
        behind = typed({**self.env, **more}, {*inherited(), "FAKE_CALLS"})
        return ["make", "--no-print-directory", *words, *behind]

    def run(self, *words: str, timeout_s: float, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=ROOT,
            env={**self.env, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def good(self, *words: str, timeout_s: float = 300, **more: str) -> str:
        done = self.make(*words, timeout_s=timeout_s, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def docker(self, *words: str) -> str:
        done = engine.docker(*words, host=self.env["DOCKER_HOST"])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def container(self, part: str) -> str:
        """The id of a part's container."""
        project = self.env["COMPOSE_PROJECT_NAME"]
        filters = [f"label=com.docker.compose.{key}" for key in (f"project={project}", f"service={part}")]
        return self.docker(
            "ps", "-aq", "--no-trunc", *(word for one in filters for word in ("--filter", one))
        )

    def facts(self, part: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", self.container(part)))
        return found[0]

    def inside(self, part: str, *command: str) -> subprocess.CompletedProcess[str]:
        return engine.docker("exec", self.container(part), *command, host=self.env["DOCKER_HOST"])

    def volumes(self) -> set[str]:
        project = self.env["COMPOSE_PROJECT_NAME"]
        return set(
            self.docker(
                "volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={project}"
            ).split()
        )

    def wait_healthy(self, part: str) -> None:
        end = time.monotonic() + HEALTHY_WITHIN_S
        while (health := self.health(part)) != HEALTH[part]:
            assert time.monotonic() < end, f"{part} is {health}"
            time.sleep(0.2)

    def health(self, part: str) -> str:
        """As the engine says; what nobody asks is running or not."""
        state = self.facts(part)["State"]
        return str(state.get("Health", state)["Status"])

    def wait_restarted(self, part: str, before: int) -> None:
        end = time.monotonic() + HEALTHY_WITHIN_S
        while self.facts(part)["RestartCount"] == before:
            assert time.monotonic() < end, f"{part} was not started again"
            time.sleep(0.2)

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.env['GATEWAY_PORT']}"


@contextmanager
def new_bed(host: str, *, compose: str = "", **more: str) -> Iterator[Bed]:
    """Not started yet; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="vaultbench-compose-") as name:
        folder = Path(name)
        desk = new_desk(folder)
        for program in ("docker", "docker-compose"):
            _real(folder / "bin" / program)
        _real(folder / "bin" / "uname")
        names = [key for key in envfile.read(settings.PORTS) if key.endswith("_PORT")] + list(OVERLAY_PORTS)
        numbers = dict(zip(names, map(str, ports.free(len(names))), strict=True))
        handed_on = {key: os.environ[key] for key in HANDED_ON if os.environ.get(key)}
        own = {"DOCKER_HOST": host, "RUNTIME": "compose", "COMPOSE_PROJECT_NAME": folder.name.lower()}
        chosen = {"VAULTBENCH_COMPOSE": compose} if compose else {}
        fast = {"PASSWORD_HASH": "sha256"}  # unit tests cover argon2id
        bed = Bed(folder, {**desk.env(), **handed_on, **numbers, **own, **chosen, **fast, **more})
        try:
            yield bed
        finally:
            bed.make("clean", ALL="1")


def _real(path: Path) -> None:
    """The machine's own program where the small PATH has none or a made-up one."""
    path.unlink(missing_ok=True)
    for folder in os.environ["PATH"].split(os.pathsep):
        found = Path(folder) / path.name
        if found.exists():
            path.symlink_to(found)
            return
