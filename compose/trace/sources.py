"""Where the processes' log lines come from: files of the run folder, or a program that prints them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SERVICES = ("gateway", "auth", "upload", "files")
BLOCK_BYTES = 1 << 20


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
