"""The folder of data, logs and state: whose it is, and what in it is ours.

A run folder carries a mark, `.vaultbench`, from its first moment on. A folder that was there before with
anything in it is never taken for one, so nothing of it can be deleted later. The start-up of containers does
the same in sh (docker/run_folder.sh).
"""

from __future__ import annotations

import shutil
from pathlib import Path

LIST = Path(__file__).with_name("run_folder.list")
MARK, MADE, FOUND = ".vaultbench", "made", "found"
# Without a mark: of an older version, or made by what runs before the first start.
RECORDS = ("runtime", "ports.env", "state.json", "harness.lock", "venv.lock")
SHOWN = 5


class ForeignFolder(Exception):
    """The folder holds somebody else's files; the text says what to do."""


def own(folder: Path) -> None:
    """Makes a run folder, or marks an empty one. Raises `ForeignFolder`."""
    if is_ours(folder):
        state = MADE
    elif folder.is_dir() and (there := sorted(path.name for path in folder.iterdir())):
        raise ForeignFolder(
            f"{folder} is no run folder: it holds {_first(there)}. "
            "VAULTBENCH_RUN_DIR names a new or an empty folder"
        )
    else:
        state = FOUND if folder.is_dir() else MADE
        folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARK).exists():
        (folder / MARK).write_text(
            f"{state} by vaultbench; `make clean` deletes what is listed in {LIST.name}\n"
        )


def is_ours(folder: Path) -> bool:
    """Whether a folder carries the mark, or a record that we alone make."""
    return any((folder / name).is_file() for name in (MARK, *RECORDS))


def ours_in(folder: Path) -> list[Path]:
    """What of a run folder is ours."""
    names = (line for line in LIST.read_text().splitlines() if not line.startswith("#"))
    found = (folder / name for name in names)
    return [path for path in found if path.is_symlink() or path.exists()]


def remove(folder: Path) -> list[str]:
    """Deletes what is ours, and the folder when we made it and nothing else is in it; what stays.

    A link goes, what it leads to stays.
    """
    made = not (folder / MARK).exists() or not (folder / MARK).read_text().startswith(FOUND)
    for path in ours_in(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    left = sorted(path.name for path in folder.iterdir())
    if not left and made and not folder.is_symlink():
        folder.rmdir()
    return left


def shown(names: list[str]) -> str:
    """Names as the subject of a sentence."""
    return f"{_first(names)} {'is' if len(names) == 1 else 'are'}"


def _first(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
