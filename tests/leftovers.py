"""Folders of the suite's testbeds, and what killed test runs left behind.

A test process that is killed cannot delete its folder, nor the clusters that belong to it below
``/var/lib/vaultbench``. Each folder holds a lock that its process keeps while it lives; a folder whose
lock nobody holds is nobody's, and the next test run deletes it.
"""

from __future__ import annotations

import fcntl
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compose import life, postgres

PREFIX, RUN, LOCK = "vaultbench-test-", "run", "owner.lock"


@contextmanager
def owned_folder() -> Iterator[Path]:
    """A new folder, ours until the block ends; other accounts may pass through."""
    _once()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        folder.chmod(0o711)  # Postgres runs as another account when we are root
        draft = folder / f"{LOCK}.draft"
        with draft.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            draft.rename(folder / LOCK)  # under its name only once it is held
            yield folder


def unmount(folder: Path) -> None:
    """Take away a small disk that a test mounted; nothing for a folder that is none."""
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=False)


@functools.cache
def _once() -> None:
    remove_stale(Path(tempfile.gettempdir()))


def remove_stale(where: Path) -> list[Path]:
    """Delete folders whose process is gone, with their processes and clusters; which they were."""
    stale = [lock.parent for lock in where.glob(f"{PREFIX}*/{LOCK}") if not life.held(lock)]
    removed = []
    for folder in stale:
        with suppress(OSError, life.LifeError):  # somebody else's, or somebody else is at it
            life.stop(folder / RUN)
            unmount(folder / RUN / "spool")
            shutil.rmtree(postgres.home(folder / RUN), ignore_errors=True)
            shutil.rmtree(folder)
            removed.append(folder)
    return removed
