"""Where the processes' log lines come from: files of the run folder, or a program that prints them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

SERVICES = ("gateway", "auth", "upload", "files")
BLOCK_BYTES = 1 << 20


class LogSource(Protocol):
    """The logs of all services, as often as asked for; one block at a time is in memory."""

    def blocks(self, service: str) -> Iterator[bytes]:
        """The log of a service from its oldest byte on; nothing when it has none."""


class FileLogs:
    """The files that the supervisor writes, of all replicas; what was put aside (`.log.1`) comes first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def blocks(self, service: str) -> Iterator[bytes]:
        replicas = [self._folder / f"{service}.log", *sorted(self._folder.glob(f"{service}-[0-9]*.log"))]
        for path in replicas:
            for part in (path.with_suffix(".log.1"), path):
                try:
                    log = part.open("rb")
                except FileNotFoundError:
                    continue
                with log:
                    while block := log.read(BLOCK_BYTES):
                        yield block


class CommandLogs:
    """What a program prints, for example `docker compose logs`; the service's name is its last argument.

    Raises:
        OSError: the program is missing or fails.
    """

    def __init__(self, command: Sequence[str], cwd: Path | None = None) -> None:
        self._command, self._cwd = tuple(command), cwd

    def blocks(self, service: str) -> Iterator[bytes]:
        run = [*self._command, service]
        with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self._cwd) as child:
            if child.stdout is None or child.stderr is None:
                raise OSError("no pipe")
            try:
                while block := child.stdout.read(BLOCK_BYTES):
                    yield block
                said = child.stderr.read()
            finally:
                child.terminate()  # when nobody reads on
        if child.returncode:
            raise OSError(f"{' '.join(run)} failed: {said.decode(errors='replace').strip()}")
