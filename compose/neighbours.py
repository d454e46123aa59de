"""The other testbeds of this machine, of whichever checkout: each with the words that speak of it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from compose import envfile, process

DOCKER_ANSWER_S = 3
LABEL = "vaultbench.run_dir"  # of every container, see compose.yaml
SHOWN = f'{{{{.Label "com.docker.compose.project"}}}}\t{{{{.Label "{LABEL}"}}}}'


def lines(run_dir: Path) -> Iterator[str]:
    """One line for each, but not for that of this run folder."""
    for pid, folder in sorted(process.testbeds().items()):
        if Path(folder) != run_dir:
            words = f"VAULTBENCH_RUN_DIR={shlex.quote(folder)}"
            yield f"{_address(Path(folder))} (supervisor {pid}): make status {words}"
    for project, folder in _containers():
        if Path(folder) != run_dir:
            words = f"COMPOSE_PROJECT_NAME={project} VAULTBENCH_RUN_DIR={shlex.quote(folder)}"
            yield f"{_address(Path(folder))} (containers): make status {words}"


def _address(run_dir: Path) -> str:
    try:
        return envfile.read(run_dir / "ports.env")["GATEWAY_URL"]
    except (OSError, envfile.EnvError, KeyError):  # another user's, or not that far yet
        return "address not known"


def _containers() -> list[list[str]]:
    docker = shutil.which("docker")
    if docker is None:
        return []
    asked = [docker, "ps", "--filter", f"label={LABEL}", "--format", SHOWN]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=DOCKER_ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError):  # no daemon: no containers
        return []
    return sorted(line.split("\t") for line in set(said.stdout.splitlines()))
