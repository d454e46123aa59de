"""Facts about processes that a process id alone does not give, read from /proc (Linux).

Ids are reused, so a process is named by its id and its start time. A dead process whose parent has not
collected it yet is a zombie that still answers signal 0; the state letter tells. Where /proc is missing
(macOS), start time and memory are 0 and only signal 0 is asked.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterable
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
SUPERVISOR = b"compose.supervisor"
OPEN_FILES = 65_536


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the command name may itself hold spaces and brackets


def start_ticks(pid: int) -> int:
    """Start time in clock ticks since boot; 0 when there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def alive(pid: int, ticks: int = 0) -> bool:
    """Whether this very process runs: same id, same start time (when given), not a zombie."""
    fields = _stat(pid)
    if fields is None:
        return not PROC.is_dir() and _answers(pid)
    return fields[0] not in "ZX" and (not ticks or int(fields[19]) == ticks)


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def rss_bytes(pid: int) -> int:
    """Resident memory of one process, without its children; 0 when it is gone."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def cpu_s(pids: Iterable[int]) -> float:
    """CPU time of these processes and of children they have collected; those already gone count 0."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        ticks += sum(int(field) for field in fields[11:15]) if fields else 0
    return ticks / TICKS_PER_S


def children(pid: int) -> list[int]:
    """Direct children of all threads of a process."""
    found: list[int] = []
    for task in (PROC / str(pid) / "task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:  # the thread ended while we looked
            continue
    return found


def tree(pid: int) -> list[int]:
    """A process and all its descendants, parents first (children may have left its process group)."""
    pids = [pid]
    for parent in pids:  # grows while we walk it
        pids += children(parent)
    return pids


def parents(pid: int) -> list[int]:
    """A process and those above it, up to the first of all."""
    found = [pid]
    while (fields := _stat(found[-1])) and int(fields[1]):
        found.append(int(fields[1]))
    return found


def supervised(pid: int) -> str:
    """The run folder of the testbed whose supervisor this process is; "" for any other."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    if SUPERVISOR not in words[1:-2] or words[words.index(SUPERVISOR) - 1] != b"-m":
        return ""
    return os.fsdecode(words[words.index(SUPERVISOR) + 1])


def testbed_of(pid: int) -> str:
    """The run folder of the testbed that a process belongs to, or ""."""
    return next(filter(None, map(supervised, parents(pid))), "")


def testbeds() -> dict[int, str]:
    """Supervisors of this machine, of whichever checkout and user, with their run folders."""
    pids = (int(path.name) for path in PROC.glob("[0-9]*"))
    found = {pid: supervised(pid) for pid in pids}
    return {pid: folder for pid, folder in found.items() if folder and alive(pid)}


def raise_open_files() -> None:
    """As many open files as this process and its children may have: desktops begin with 1024, or 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process and all its descendants; those already gone are no error."""
    for each in tree(pid):
        try:
            os.kill(each, number)
        except ProcessLookupError:
            continue


def command_line(pid: int) -> str:
    """The command of a process as one line, or "?" when it may not be read."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return "?"
    return raw.replace(b"\0", b" ").decode(errors="replace").strip() or "?"


def pss_bytes(pid: int) -> int:
    """Proportional memory of one process: shared pages are divided among those who share them.

    Falls back to `rss_bytes` where the kernel does not tell.
    """
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, IndexError):
        return rss_bytes(pid)
    return 0
