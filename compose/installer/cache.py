"""The tool cache: one folder per recipe, complete or not there.

    <cache>/<name>/<version>-<os>-<arch>-<hash>/…  manifest.json
    <cache>/.lock-<name>     <cache>/.build/<name>.<pid>/…     <cache>/.logs/<name>.log

A tool is built beside, its manifest written last, then renamed. Whoever is interrupted removes its own part
of `.build/`; what a killed one leaves there, the next holder of the lock removes (Go's caches there,
golang.py, the next one uses).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import IO, Any

Echo = Callable[[str], object]
WAIT_POLL_S, WAIT_LINE_S = 0.2, 5.0
FULL = (errno.ENOSPC, errno.EDQUOT)
STEP = "==> "  # begins the line of a log that names the next step


class ToolError(Exception):
    """A program could not be had; the text says what to do."""


def root_folder(environ: Mapping[str, str], checkout: Path) -> Path:
    """VAULTBENCH_TOOLS, else the user's cache, else `.tools` in the checkout."""
    if environ.get("VAULTBENCH_TOOLS"):
        return Path(environ["VAULTBENCH_TOOLS"]).absolute()
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "/nonexistent") / ".cache")
    wanted = Path(base).absolute() / "vaultbench"  # Go takes no other
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError:
        return checkout / ".tools"
    return wanted if os.access(wanted, os.W_OK) else checkout / ".tools"


def forbids_programs(folder: Path) -> bool:
    """Whether the file system there is mounted so that no program can run from it."""
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


def complete(folder: Path) -> bool:
    """Whether a tool's folder is finished."""
    return (folder / "manifest.json").is_file()


def manifest(folder: Path) -> dict[str, Any]:
    """What was recorded when the tool was made."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


@contextlib.contextmanager
def lock(cache: Path, name: str, echo: Echo, stop: Event) -> Iterator[None]:
    """Only one process per tool; who waits is told for whom and how long, and gives up after `stop`."""
    began = said = time.monotonic()
    while (file := taken(cache, name)) is None:
        if time.monotonic() - said > WAIT_LINE_S or said == began:
            said = time.monotonic() + 1e-9
            holder = f"process {_holder(cache, name)}, which installs it{_doing(cache, name)}"
            echo(f"{name}: waiting for {holder}; {said - began:.0f} s so far")
        if stop.wait(WAIT_POLL_S):
            raise ToolError(f"{name}: no longer waiting for process {_holder(cache, name)}")
    with file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        for left in (cache / ".build").glob(f"{name}.*"):
            shutil.rmtree(left)
        yield


def taken(cache: Path, name: str) -> IO[str] | None:
    """The file of a lock, held until it is closed; nothing while somebody else holds it."""
    file = _opened(cache, name)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if _in_place(file, cache, name):
        return file
    file.close()
    return taken(cache, name)


def _in_place(file: IO[str], cache: Path, name: str) -> bool:
    """Whether whoever comes next would find this very file: `make tools-clean` deletes them."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), (cache / f".lock-{name}").stat())
    except FileNotFoundError:
        return False


def _opened(cache: Path, name: str) -> IO[str]:
    """The file of a lock, in a cache that is made where it is missing."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return (cache / f".lock-{name}").open("a+")
    except OSError as exc:
        if exc.errno in FULL:
            raise
        raise ToolError(
            f"{name} is to be installed in {cache}, where nothing can be written: {exc.strerror}. "
            "VAULTBENCH_TOOLS names another folder."
        ) from exc


class Use:
    """Something in the cache that several processes use at once. Waits while somebody deletes it."""

    def __init__(self, cache: Path, name: str) -> None:
        self._file = _shared(cache, name)

    def end(self, delete: Callable[[], object]) -> None:
        """Ends it; the last one of all deletes."""
        with self._file, contextlib.suppress(BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            delete()


def _shared(cache: Path, name: str) -> IO[str]:
    file = _opened(cache, name)
    fcntl.flock(file, fcntl.LOCK_SH)
    if _in_place(file, cache, name):
        return file
    file.close()
    return _shared(cache, name)


def _holder(cache: Path, name: str) -> str:
    try:
        return (cache / f".lock-{name}").read_text().strip() or "?"
    except FileNotFoundError:  # it has just been deleted
        return "?"


def _doing(cache: Path, name: str) -> str:
    """How far the holder is, as its log tells."""
    try:
        lines = (cache / ".logs" / f"{name}.log").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    starts = [number for number, line in enumerate(lines) if line.startswith(STEP)]
    if not starts:
        return ""
    step = lines[starts[-1]].removeprefix(STEP).partition(":")[0]
    return f" ({step}, {len(lines) - 1 - starts[-1]} lines of output)"


def workplace(cache: Path, name: str) -> Path:
    """An empty folder to build in; call it with the lock of that name held."""
    folder = cache / ".build" / f"{name}.{os.getpid()}"
    folder.mkdir(parents=True)
    return folder


def publish(tree: Path, final: Path, record: Mapping[str, Any]) -> None:
    """Makes a built tree the finished tool: manifest last, then the rename."""
    (tree / "manifest.json").write_text(json.dumps(record, indent=1, sort_keys=True))
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():  # not complete, or we would not be here
        shutil.rmtree(final)
    tree.rename(final)
