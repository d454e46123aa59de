"""Room on the disk: what is left for data, and what the tests need before they begin."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GB = 1_000_000_000
# Of any disk, whatever its size: the store writes no more where less would stay free, and the upload service
# accepts nothing that it would first write to a file.
STORE_SHARE, SPOOL_SHARE = 0.01, 0.10
SPOOLING: Mapping[str, str] = {"CHUNK_STORE": "disk", "BODY_MODE": "spooled"}
DATA_BYTES, LEAST_BYTES = 5 * GB, GB
TESTS_BYTES, TESTS_MEMORY_BYTES = 5 * GB, 3 * GB


class RoomError(Exception):
    """Something would not fit; the text says how much is missing and where."""


@dataclass(frozen=True, slots=True)
class Space:
    """What is left of a file system. `usable_bytes` is without what must stay free, `kept_for` says why."""

    folder: Path
    free_bytes: int
    usable_bytes: int
    kept_for: str

    def __str__(self) -> str:
        kept = self.free_bytes - self.usable_bytes
        return (
            f"{self.free_bytes / GB:.1f} GB free for data in {self.folder}; {self.kept_for} of the disk"
            f" unused, {kept / GB:.1f} GB"
        )

    @property
    def enough(self) -> bool:
        """Whether uploads go on for a while."""
        return self.usable_bytes >= LEAST_BYTES


def of(path: Path, env: Mapping[str, str]) -> Space:
    """The space where a path is, or would be made, for a testbed with these settings."""
    folder = existing(path)
    total, _, free = shutil.disk_usage(folder)
    word = spooled_by(env)
    share = SPOOL_SHARE if word else STORE_SHARE
    kept_for = f"with {word} uploads leave a tenth" if word else "the store leaves a hundredth"
    return Space(path, free, free - round(total * share), kept_for)


def spooled_by(env: Mapping[str, str]) -> str:
    """The setting by which uploads are written to files of the service; "" where none is."""
    chosen = (f"{name}={value}" for name, value in SPOOLING.items() if env.get(name, "").lower() == value)
    return next(chosen, "")


def existing(path: Path) -> Path:
    """The path or its nearest parent that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def size_bytes(path: Path) -> int:
    """Bytes on disk of a path and everything below it; links count as themselves."""
    total = 0
    for one in (path, *(Path(folder) / name for folder, _, files in os.walk(path) for name in files)):
        try:
            total += one.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def refuse_tests() -> None:
    """Raises `RoomError` where `make test` would fail for lack of room, minutes later and in many places."""
    space = of(Path(tempfile.gettempdir()), SPOOLING)  # some of them upload that way
    missing = []
    if space.usable_bytes < TESTS_BYTES:
        needed = TESTS_BYTES + space.free_bytes - space.usable_bytes
        missing.append(
            f"{needed / GB:.1f} GB of disk in {space.folder} (their testbeds, and the tenth of it that"
            f" uploads leave unused), and {space.free_bytes / GB:.1f} GB are free: make room, or name"
            " another folder with TMPDIR="
        )
    if (memory := memory_bytes()) < TESTS_MEMORY_BYTES:
        missing.append(f"{TESTS_MEMORY_BYTES / GB:.1f} GB of memory, and {memory / GB:.1f} GB are free")
    if missing:
        raise RoomError("\n".join(f"The tests need {one}" for one in missing))


def memory_bytes() -> int:
    """Memory that is free or can be freed; all there is where the kernel does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
