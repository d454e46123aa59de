"""CPU and memory of processes and of the host, read from ``/proc`` (Linux).

Kernel work counts as the process's own. A Postgres cluster is one unit: its postmaster, the children it
has reaped, and those alive.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat after the command's closing parenthesis, counted from the state letter.
_PPID, _UTIME, _STIME, _CUTIME, _CSTIME, _START = 1, 11, 12, 13, 14, 19


@dataclass(frozen=True, slots=True)
class Watched:
    """A process to be watched: its identity is the pid together with its start time."""

    name: str
    pid: int
    start_ticks: int
    family: bool = False  # count the children too (Postgres)
    container: str | None = None  # id of the container it is the first process of; not in our /proc then


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process had used when it was looked at. ``cpu_s`` counts from its start.

    ``start_ticks`` tells lives apart: clock ticks since boot, of containers nanoseconds since the epoch.
    """

    cpu_s: float
    rss_bytes: int
    start_ticks: int


class HostTime(NamedTuple):
    """CPU-seconds of all processors since boot."""

    busy_s: float  # on anything but idling and waiting for disks
    disk_wait_s: float  # idle while something waited for a disk


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All watched processes and the host at one instant; a process that is gone is absent."""

    at: float
    host: HostTime
    usage: Mapping[str, Usage] = field(default_factory=dict)


def stat_fields(pid: int, proc: Path = PROC) -> list[str] | None:
    """Fields after the command name, or ``None`` if the process is gone."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def start_ticks(pid: int, proc: Path = PROC) -> int | None:
    """Start time in clock ticks since boot: with the pid, it names a process for good."""
    fields = stat_fields(pid, proc)
    return None if fields is None else int(fields[_START])


def children_of(pids: Iterable[int], proc: Path = PROC) -> dict[int, list[int]]:
    """Direct children by parent, for the given parents, from one walk over all processes."""
    found: dict[int, list[int]] = {pid: [] for pid in pids}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        fields = stat_fields(int(entry.name), proc)
        if fields is not None and int(fields[_PPID]) in found:
            found[int(fields[_PPID])].append(int(entry.name))
    return found


def host_time(proc: Path = PROC) -> HostTime:
    """What the host's processors did since boot."""
    with (proc / "stat").open(encoding="ascii") as file:
        values = [int(value) for value in file.readline().split()[1:9]]
    user, nice, system, _idle, iowait, irq, softirq, _steal = values
    return HostTime((user + nice + system + irq + softirq) / TICKS_PER_S, iowait / TICKS_PER_S)


def memory_bytes(pids: Iterable[int], proc: Path = PROC) -> int:
    """What processes that belong together hold in memory; those that are gone hold nothing.

    Their own pages, and once what they share: the most that any of them has of it. A sum of resident sizes
    would count a database's shared buffers once for each of its processes; the kernel's proportional sizes
    (PSS) would be exact, but take ten times as long to read, in the middle of a measurement.
    """
    found = [_status(pid, proc) for pid in pids]
    shared = max((one["RssFile"] + one["RssShmem"] for one in found), default=0)
    return sum(one["RssAnon"] for one in found) + shared


def _status(pid: int, proc: Path) -> dict[str, int]:
    """The kinds of memory in ``/proc/<pid>/status``, in bytes."""
    held = dict.fromkeys(("RssAnon", "RssFile", "RssShmem"), 0)
    try:
        text = (proc / str(pid) / "status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return held
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key in held:
            held[key] = int(value.split()[0]) * 1024
    return held


def snapshot(at: float, watched: Iterable[Watched], proc: Path = PROC) -> Snapshot:
    """Look at everything once. ``at`` is the caller's clock."""
    processes = list(watched)
    families = children_of((one.pid for one in processes if one.family), proc)
    host = host_time(proc)
    usage = {one.name: _usage(one, families.get(one.pid, []), proc) for one in processes}
    return Snapshot(at, host, {name: use for name, use in usage.items() if use is not None})


def _usage(one: Watched, children: list[int], proc: Path) -> Usage | None:
    fields = stat_fields(one.pid, proc)
    if fields is None:
        return None
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    if one.family:
        ticks += int(fields[_CUTIME]) + int(fields[_CSTIME])
        ticks += sum(_own_and_reaped(child, proc) for child in children)
    held = memory_bytes((one.pid, *children), proc)
    return Usage(ticks / TICKS_PER_S, held, int(fields[_START]))


def _own_and_reaped(pid: int, proc: Path) -> int:
    fields = stat_fields(pid, proc)
    return 0 if fields is None else sum(int(fields[at]) for at in (_UTIME, _STIME, _CUTIME, _CSTIME))
