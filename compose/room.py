"""Room on the disk: what is left for data, and what the tests need before they begin."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

GB = 1_000_000_000
# Of any disk, whatever its size: uploads are refused where less than this share of it would stay free.
KEPT_SHARE = 0.10
DATA_BYTES, LEAST_BYTES = 5 * GB, GB
TESTS_BYTES, TESTS_MEMORY_BYTES = 5 * GB, 3 * GB


class RoomError(Exception):
    """Something would not fit; the text says how much is missing and where."""


@dataclass(frozen=True, slots=True)
class Space:
    """What is left of a file system. `usable_bytes` is without what uploads must leave free."""

    folder: Path
    free_bytes: int
    usable_bytes: int

    def __str__(self) -> str:
        kept = self.free_bytes - self.usable_bytes
        return (
            f"{self.free_bytes / GB:.1f} GB free for data in {self.folder}; uploads leave a tenth of the disk"
            f" unused, {kept / GB:.1f} GB"
        )

    @property
    def enough(self) -> bool:
        """Whether uploads go on for a while."""
        return self.usable_bytes >= LEAST_BYTES


def of(path: Path) -> Space:
    """The space where a path is, or would be made."""
    folder = existing(path)
    total, _, free = shutil.disk_usage(folder)
    return Space(path, free, free - round(total * KEPT_SHARE))


def existing(path: Path) -> Path:
    """The path or its nearest parent that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def refuse_tests() -> None:
    """Raises `RoomError` where `make test` would fail for lack of room, minutes later and in many places."""
    space = of(Path(tempfile.gettempdir()))
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
