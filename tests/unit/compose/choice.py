"""A desk with nothing on it but sh, the usual small programs and a Docker program that answers as told."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from compose.settings import ROOT

# What every Linux, macOS and WSL2 has. No Python, no Go, no curl, no bash.
SMALL_PROGRAMS = (
    *(
        "awk",
        "basename",
        "cat",
        "chmod",
        "cp",
        "cut",
        "date",
        "df",
        "dirname",
        "du",
        "env",
        "find",
        "getent",
        "grep",
        "id",
    ),
    *(
        "head",
        "ln",
        "ls",
        "make",
        "mkdir",
        "mv",
        "od",
        "printf",
        "rm",
        "rmdir",
        "sed",
        "sh",
        "sleep",
        "sort",
        "stat",
    ),
    *("tail", "tr", "uname", "wc", "xargs"),
)

DOCKER = """#!/bin/sh
echo "$*" >>"$FAKE_CALLS"
case "$1 ${2-}" in
"info --format")
    [ -z "${FAKE_HANGS-}" ] || exec sleep 60
    [ -n "${FAKE_VERSION-}" ] || exit 1
    case "$3" in
    *OperatingSystem*) echo "$FAKE_VERSION|${FAKE_SYSTEM:-Debian}|${FAKE_MEMORY:-8000000000}|2|2" ;;
    *NCPU*) echo 2 ;;
    *) echo "$FAKE_VERSION" ;;
    esac ;;
"context inspect") echo "${FAKE_CONTEXT:-unix:///var/run/docker.sock}" ;;
"compose version") [ -n "${FAKE_COMPOSE-}" ] || exit 1; echo "$FAKE_COMPOSE" ;;
"volume ls") printf '%s\\n' ${FAKE_VOLUMES-} ;;
"image inspect") exit 1 ;;
esac
"""
UNAME = """#!/bin/sh
case "$1" in -r) echo "${FAKE_KERNEL:-6.1.0}" ;; -m) echo "${FAKE_MACHINE:-x86_64}" ;; *) echo Linux ;; esac
"""
WORKS = {"FAKE_VERSION": "27.0.1", "FAKE_COMPOSE": "2.29.0"}


@dataclass(frozen=True, slots=True)
class Desk:
    """`run` is a command under the small PATH; programs of our own making stand in for docker and uname."""

    folder: Path

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets.env"

    def env(self, **more: str) -> dict[str, str]:
        return {
            "PATH": str(self.folder / "bin"),
            "FAKE_CALLS": str(self.folder / "calls"),
            "VAULTBENCH_RUN_DIR": str(self.run_dir),
            "VAULTBENCH_ENV_FILE": str(self.secrets),
            **more,
        }

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env=self.env(**more), capture_output=True, text=True, check=False, timeout=60
        )

    def make(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`more` stands behind the target, but for what tells a made-up program what to say."""
        stage = {name: value for name, value in more.items() if name.startswith("FAKE_")}
        return self.run("make", "--no-print-directory", *words, *typed(more, stage), **stage)

    def script(self, text: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Lines of sh after all scripts of the folder were read."""
        parts = (
            "lib",
            "runtime",
            "secrets",
            "workers",
            "environment",
            "exporters",
            "build",
            "view",
            "doctor",
            "report",
            "commands",
        )
        sources = "".join(f". compose/docker/{part}.sh\n" for part in parts)
        return self.run("sh", "-euc", sources + text, **more)

    def record(self, runtime: str) -> None:
        self.run_dir.mkdir(exist_ok=True)
        (self.run_dir / "runtime").write_text(f"{runtime}\n")

    def put(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def typed(words: Mapping[str, str], others: Container[str] = ()) -> list[str]:
    """Words as they stand behind a make target, where make would take a `$` for its own."""
    return [f"{name}={value.replace('$', '$$')}" for name, value in words.items() if name not in others]


def new_desk(folder: Path) -> Desk:
    (folder / "bin").mkdir()
    (folder / "calls").touch()
    for name in SMALL_PROGRAMS:
        found = shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin")
        assert found, name
        (folder / "bin" / name).symlink_to(found)
    desk = Desk(folder)
    desk.put("docker", DOCKER)
    desk.put("uname", UNAME)
    return desk
