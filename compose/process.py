"""Facts about processes that a process id alone does not give, read from /proc (Linux).

Ids are reused, so a process is named by its id and its start time. A dead process whose parent has not
collected it yet is a zombie that still answers signal 0; the state letter tells. Where /proc is missing
(macOS), start time and memory are 0 and only signal 0 is asked.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


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
