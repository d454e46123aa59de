"""What this machine has left for a run: memory for k6, disk for what is uploaded and for the records."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from loadtests.harness.question import GIB, QuestionError, least_disk_bytes, memory_bytes
from loadtests.harness.records.plan import Plan

MEMORY_SHARE = 0.8  # of what is free; the system that is measured needs some too
KEPT_SHARE = 0.10  # of any disk: uploads are refused where less would stay free
RECORDS_BYTES = 200_000_000
OPEN_FILES = 65_536

Usage = Callable[[Path], tuple[int, int, int]]


def raise_open_files() -> None:
    """As many open files as we and our children may have: each VU is one, and desktops begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def refuse_beyond_memory(plan: Plan, available: int) -> None:
    """Raises ``QuestionError`` where VUs times file size do not fit into memory."""
    needed = memory_bytes(plan)
    if needed > MEMORY_SHARE * available:
        raise QuestionError(
            f"VUS x FILE_SIZE need about {needed / GIB:.1f} GiB of memory for the load alone, and"
            f" {available / GIB:.1f} GiB are free here. Choose fewer VUs or smaller files"
        )


def fitted(plan: Plan, data: Path, results: Path, usage: Usage = shutil.disk_usage) -> Plan:
    """The plan with no more disk than there is: the load then pauses more often, to judge and delete.

    Args:
        data: the folder of the system that is measured.
        results: where the records go.
        usage: ``shutil.disk_usage``, or a test's.

    Raises:
        QuestionError: the records do not fit, or what VUs and file size have under way at once.
    """
    total, _, free = usage(_existing(data))
    usable, needed = free - round(total * KEPT_SHARE), least_disk_bytes(plan)
    problems = []
    if usable < needed:
        problems.append(
            f"VUS x FILE_SIZE need {needed / GIB:.1f} GiB of disk in {data}, and"
            f" {max(0, usable) / GIB:.1f} GiB can be used: {free / GIB:.1f} GiB are free, and a tenth of the"
            " disk stays so. Make room, or choose fewer VUs or smaller files"
        )
    if (left := usage(_existing(results))[2]) < RECORDS_BYTES:
        problems.append(
            f"the records of a run need {RECORDS_BYTES / GIB:.1f} GiB in {results}, and {left / GIB:.2f} GiB"
            " are free. Make room, or name another folder with VAULTBENCH_RESULTS="
        )
    if problems:
        raise QuestionError("\n".join(problems))
    return plan.model_copy(update={"disk_bytes": max(needed, min(plan.disk_bytes, usable))})


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that this process and its children may still take: by the kernel's own estimate of what is free,
    by the limits of our control groups, and by ``ulimit -v``. Raises ``QuestionError`` where nobody says."""
    known = [*_free(root), *_of_groups(root), *_of_limits(root)]
    if not known:
        raise QuestionError(f"{root}proc/meminfo does not say how much memory is free")
    return max(0, min(known))


def _free(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_limits(root: Path) -> Iterator[int]:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft


def _of_groups(root: Path) -> Iterator[int]:
    """What is left of each limit from our own group up to the first; pages of files can be given back."""
    for line in _lines(root / "proc/self/cgroup"):
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top = root / "sys/fs/cgroup" / kinds
        names = ("memory.max", "memory.current", "inactive_file")
        if kinds:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            yield from _left(folder, *names)
            if folder == top:
                break


def _left(folder: Path, limit: str, usage: str, given_back: str) -> Iterator[int]:
    allowed, used = _lines(folder / limit), _lines(folder / usage)
    if not allowed or not used or not allowed[0].isdecimal():  # "max": no limit
        return
    counted = dict(line.split() for line in _lines(folder / "memory.stat"))
    yield int(allowed[0]) - int(used[0]) + int(counted.get(given_back, 0))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
