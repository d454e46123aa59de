"""Runs the long commands of an installation and says every few seconds how far they are."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from compose import process
from compose.installer.cache import STEP, Echo, ToolError
from compose.installer.trouble import MAKE_ROOM, is_full, remedy

LINE_EVERY_S, POLL_S = 5.0, 0.1
LAST_LINES = 15
INHERITED = Path(__file__).resolve().parent.parent / "inherited.list"


@dataclass(frozen=True, slots=True)
class Job:
    """One installation: its name, how long it usually takes, the folder it works in, where output goes and
    whom to tell. Whoever sets `stop` ends it."""

    name: str
    expected: str
    work: Path
    log: Path
    echo: Echo
    stop: Event = field(default_factory=Event)
    began: float = field(default_factory=time.monotonic)

    def run(
        self,
        step: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        unit: str = "lines of output",
        most: int = 0,
    ) -> list[str]:
        """Runs to the end; what it wrote, which is in the log too. `ToolError` with the last lines and what
        to do when it fails; on a full disk with what to do alone. Each line is one `unit`, of which there
        are `most`, when that is known. Whoever interrupts us ends its children, too."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        env = environment() if env is None else env
        with self.log.open("ab") as output:
            output.write(f"{STEP}{step}: {shlex.join(command)}\n".encode())
            start = output.tell()
            child = subprocess.Popen([*_guard(), *command], stdout=output, stderr=output, env=env, cwd=cwd)
        try:
            self._follow(child, step, start, f"{unit} (of {most} at most)" if most else unit)
        finally:
            if child.poll() is None:  # we are interrupted
                process.signal_tree(child.pid, signal.SIGTERM)  # Go leaves its compilers behind
                child.wait()
        said = _read(self.log, start)
        if child.returncode != 0:
            if is_full(said, (self.work, self.log.parent)):
                raise ToolError(f"{self.name}: {step} failed. {MAKE_ROOM} (Its words: {self.log})")
            told = "\n".join(f"    {line}" for line in deque(said, maxlen=LAST_LINES))
            raise ToolError(
                f"{self.name}: {step} failed (exit {child.returncode}). Last lines of {self.log}:\n{told}\n"
                f"{remedy(said, env)}".rstrip()
            )
        return said

    def _follow(self, child: subprocess.Popen[bytes], step: str, start: int, unit: str) -> None:
        said = time.monotonic()
        while child.poll() is None:
            now = time.monotonic()
            if now - said >= LINE_EVERY_S:
                said = now
                count, took_s = len(_read(self.log, start)), now - self.began
                self.echo(f"{self.name}: {step}, {count} {unit}, {took_s:.0f} s ({self.expected})")
            if self.stop.wait(POLL_S):
                raise ToolError(f"{self.name}: {step} was ended")


def _read(log: Path, start: int) -> list[str]:
    with log.open("rb") as output:
        output.seek(start)
        return output.read().decode(errors="replace").splitlines()


def _guard() -> list[str]:
    """Lowest claim to the processor, and no child left behind when we are killed."""
    setpriv, nice = shutil.which("setpriv"), shutil.which("nice")
    dying = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    return [*dying, *([nice, "-n", "10"] if nice else [])]


def environment(**changes: str) -> dict[str, str]:
    """What pip, apt and Go get of ours (inherited.list), in the language that we can read, with changes.

    What else is exported for other work (GOOS, PIP_TARGET, PYTHONPATH …) would change what is installed.
    """
    names = [line.split()[0] for line in INHERITED.read_text().splitlines() if line[:1].isalpha()]
    kept = {name: os.environ[name] for name in names if os.environ.get(name)}
    return {**kept, "LC_ALL": "C", **changes}
