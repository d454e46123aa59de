"""A Docker daemon and base images for the tests: what is there is used, what is missing is made.

Without a daemon, root gets a private one. Without a registry, stand-ins are built (compose/standins); what
they cannot prove is in docs/compose.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose import envfile
from compose.settings import ROOT

IMAGES = envfile.read(ROOT / "compose" / "images.env")
BASES = (
    *("PYTHON_IMAGE", "DEBIAN_IMAGE", "GO_IMAGE", "POSTGRES_IMAGE", "PROMETHEUS_IMAGE", "K6_IMAGE"),
    *("POSTGRES_EXPORTER_IMAGE", "NODE_EXPORTER_IMAGE", "PROCESS_EXPORTER_IMAGE"),
    *("NGINX_IMAGE", "PGBOUNCER_IMAGE", "REDIS_IMAGE"),
)
READY_WITHIN_S, PULL_WITHIN_S, STANDINS_WITHIN_S = 30, 600, 1200


def docker(*words: str, host: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DOCKER_HOST": host}
    return subprocess.run(
        ["docker", *words], env=env, capture_output=True, text=True, check=False, timeout=timeout_s
    )


@contextmanager
def running_daemon(folder: Path) -> Iterator[str]:
    """The address of a local daemon."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if shutil.which("docker") is None:
        pytest.fail("make test-compose needs the docker program")
    if docker("version", host=host).returncode == 0:
        yield host
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.fail("no Docker daemon answers, and only root can start one; start Docker first")
    with private_daemon(folder) as own:
        yield own


@contextmanager
def private_daemon(folder: Path) -> Iterator[str]:
    """A daemon of our own that ends with us. Its images stay in the cache, for the next time."""
    host = f"unix://{folder}/docker.sock"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vaultbench-dockerd"
    command = ["dockerd", "-H", host, "--data-root", str(cache), "--exec-root", str(folder / "exec")]
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen([*command, "-p", str(folder / "pid")], stdout=log, stderr=log)
        try:
            end = time.monotonic() + READY_WITHIN_S
            while docker("version", host=host).returncode != 0:
                if daemon.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"dockerd did not start:\n{(folder / 'dockerd.log').read_text()[-2000:]}")
                time.sleep(0.1)
            yield host
        finally:
            daemon.terminate()
            daemon.wait(30)


def provide_images(host: str) -> None:
    """Pulls what is missing; where nothing can be pulled, builds stand-ins."""
    missing = [name for name in BASES if docker("image", "inspect", IMAGES[name], host=host).returncode != 0]
    for name in missing:
        pulled = docker("pull", "-q", IMAGES[name], host=host, timeout_s=PULL_WITHIN_S)
        if pulled.returncode != 0:
            _stand_ins(host, pulled.stderr.strip())
            return


def _stand_ins(host: str, reason: str) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.fail(f"images cannot be pulled ({reason}); stand-ins need root and debootstrap")
    done = subprocess.run(
        [str(ROOT / "compose" / "standins" / "build")],
        env={**os.environ, "DOCKER_HOST": host},
        capture_output=True,
        text=True,
        check=False,
        timeout=STANDINS_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def stand_ins(host: str) -> bool:
    """Whether what runs is made from stand-ins."""
    label = '{{index .Config.Labels "vaultbench.standin"}}'
    return bool(
        docker("image", "inspect", "-f", label, IMAGES["PYTHON_IMAGE"], host=host).stdout.strip() == "base"
    )
