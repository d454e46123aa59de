"""Runs a long command and says every few seconds how far it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose.installer.cache import Echo, ToolError

LINE_EVERY_S, POLL_S = 5.0, 0.1
LAST_LINES = 30


@dataclass(frozen=True, slots=True)
class Job:
    """One installation: its name, the folder it works in, where output goes and whom to tell."""

    name: str
    usual_s: int
    work: Path
    log: Path
    echo: Echo

    def run(
        self,
        title: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Runs to the end with output to the log; `ToolError` with the last lines when it fails."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            child = subprocess.Popen([*_guard(), *command], stdout=output, stderr=output, env=env, cwd=cwd)
        try:
            _follow(child, f"{self.name}: {title}", self)
        finally:
            if child.poll() is None:  # we are interrupted
                child.terminate()
                child.wait()
        if child.returncode != 0:
            lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
            told = "\n".join(f"    {line}" for line in lines)
            raise ToolError(
                f"{self.name}: {title} failed (exit {child.returncode}). Last lines of {self.log}:\n{told}"
            )


def _follow(child: subprocess.Popen[bytes], title: str, job: Job) -> None:
    began = said = time.monotonic()
    while child.poll() is None:
        now = time.monotonic()
        if now - said >= LINE_EVERY_S:
            said = now
            step, lines = _progress(job.log)
            job.echo(
                f"{title}: {step}, {now - began:.0f} s (usually {job.usual_s} s), {lines} lines of output"
            )
        time.sleep(POLL_S)


def _progress(log: Path) -> tuple[str, int]:
    count, last = 0, deque[bytes](maxlen=1)
    with log.open("rb") as output:
        for line in output:
            count += 1
            last.append(line)
    return "download" if last and b"ownloading" in last[0] else "compile" if count else "prepare", count


def _guard() -> list[str]:
    """Lowest claim to the processor, and no child left behind when we are killed."""
    setpriv, nice = shutil.which("setpriv"), shutil.which("nice")
    dying = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    return [*dying, *([nice, "-n", "10"] if nice else [])]


def environment(**changes: str) -> dict[str, str]:
    """Our environment (proxies, certificates, package settings of the user) with changes."""
    return {**os.environ, **changes}
