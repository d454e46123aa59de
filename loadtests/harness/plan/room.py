"""What this machine has left for a run: memory for k6, disk for what is uploaded and for the records."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from loadtests.harness.plan.planning import GIB, least_disk_bytes, memory_bytes
from loadtests.harness.question import QuestionError
from loadtests.harness.records.plan import Plan
from loadtests.harness.testbeds.connections import settings_in

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # errors of a disk that takes no more
MEMORY_SHARE = 0.8  # of what is free; the system that is measured needs some too
# Of any disk: the store writes no more where less would stay free, and the upload service accepts nothing
# that it would first write to a file.
STORE_SHARE, SPOOL_SHARE = 0.01, 0.10
QUESTION = "Q="
SPOOLING = {"CHUNK_STORE": "disk", "BODY_MODE": "spooled"}
RECORDED = "settings.env"  # in the run folder
RECORDS_BYTES = 200_000_000
PROOF_BYTES = 1 << 20
OPEN_FILES = 65_536

Usage = Callable[[Path], tuple[int, int, int]]


def raise_open_files() -> None:
    """As many open files as we and our children may have: each VU is one, and desktops begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def refuse_beyond_memory(plan: Plan, available: int, stacks_bytes: int = 0) -> None:
    """Raises ``QuestionError`` where VUs times file size, and stacks of the arms' own, do not fit."""
    needed = memory_bytes(plan) + stacks_bytes
    if needed > MEMORY_SHARE * available:
        whose = "the load and the arms' processes" if stacks_bytes else "the load alone"
        raise QuestionError(
            f"VUS x FILE_SIZE need about {needed / GIB:.1f} GiB of memory for {whose}, and"
            f" {available / GIB:.1f} GiB are free here. Choose fewer VUs or smaller files"
        )


def fitted(
    plan: Plan,
    data: Path,
    results: Path,
    environ: Mapping[str, str] | None = None,
    usage: Usage = shutil.disk_usage,
) -> Plan:
    """The plan with no more disk than there is: the load then pauses more often, to judge and delete.

    Args:
        data: the run folder of the system that is measured.
        results: where the records go.
        environ: words of the command, some of which are settings of the system.
        usage: ``shutil.disk_usage``, or a test's.

    Raises:
        QuestionError: the records do not fit, or what VUs and file size have under way at once.
    """
    total, _, free = usage(_existing(data))
    word = spooled_by(plan, {**recorded(data), **(environ or {})})
    kept = kept_bytes(total, spooled=bool(word))
    usable, needed = free - kept, least_disk_bytes(plan)
    problems = []
    if usable < needed:
        instead = "Ask another question" if word.startswith(QUESTION) else f"Leave {word} out"
        whose = (
            f"{word} writes uploads to files there, for which a tenth of the disk stays so. {instead}, choose"
            if word
            else "the store leaves a hundredth of the disk so. Choose"
        )
        problems.append(
            f"VUS x FILE_SIZE need {needed / GIB:.1f} GiB of disk in {data}, and"
            f" {max(0, usable) / GIB:.1f} GiB can be used: {free / GIB:.1f} GiB are free, and {whose}"
            " fewer VUs or smaller files, make room, or name a folder on another disk with"
            " VAULTBENCH_RUN_DIR="
        )
    if (left := usage(_existing(results))[2]) < RECORDS_BYTES:
        problems.append(
            f"the records of a run need {RECORDS_BYTES / GIB:.1f} GiB in {results}, and {left / GIB:.2f} GiB"
            " are free. Make room, or name another folder with VAULTBENCH_RESULTS="
        )
    if problems:
        raise QuestionError("\n".join(problems))
    return plan.model_copy(update={"disk_bytes": max(needed, min(plan.disk_bytes, usable))})


def kept_bytes(total_bytes: int, *, spooled: bool) -> int:
    """Of a disk, what must stay free for uploads to be taken. ``spooled``: they are written to files."""
    return round(total_bytes * (SPOOL_SHARE if spooled else STORE_SHARE))


def spooling_setting(settings: Mapping[str, str]) -> str:
    """The setting by which the service writes uploads to files; "" where none does."""
    found = (f"{name}={value}" for name, value in SPOOLING.items() if settings.get(name, "").lower() == value)
    return next(found, "")


def spooled_by(plan: Plan, settings: Mapping[str, str]) -> str:
    """The word by which uploads of some arm are written to files of the service; "" where none are."""
    typed = {name: text.lower() for name, text in plan.words.items()}
    for arm in plan.arms:
        if spools(strategy := arm.strategy or ""):
            if strategy in typed.get("STRATEGIES", "").replace(",", " ").split():
                return f"{strategy} in STRATEGIES="
            found = f"STRATEGY={strategy}"
        else:
            asked = {name.rpartition(".")[2]: value for name, value in arm.asked.items()}
            if word := spooling_setting(settings):
                return word
            found = spooling_setting(asked)
        if found:
            said = any(
                found.lower() in text for text in (*typed.values(), f"strategy={typed.get('STRATEGY')}")
            )
            return found if said else f"{QUESTION}{plan.question}"
    return ""


def spools(strategy: str) -> bool:
    """Whether the service writes each upload by a strategy to a file first."""
    return strategy.endswith("-spooled")


def left_out(
    strategies: Iterable[str], file_bytes: int, data: Path, usage: Usage = shutil.disk_usage
) -> dict[str, str]:
    """Strategies by which the service would refuse such a file now, because it writes it to its disk first; a
    sentence for each."""
    total, _, free = usage(_existing(data))
    if free - file_bytes >= kept_bytes(total, spooled=True):
        return {}
    why = (
        f"left out, because it writes uploads to files in {data}, for which a tenth of the disk stays free:"
        f" {free / GIB:.1f} of {total / GIB:.1f} GiB are. Make room, or name a folder on another disk with"
        " VAULTBENCH_RUN_DIR="
    )
    return {name: why for name in strategies if spools(name)}


def recorded(run_dir: Path) -> dict[str, str]:
    """The settings that the testbed of a run folder was started with last."""
    return settings_in(run_dir / RECORDED)


def refuse_unwritable(results: Path) -> None:
    """Raises ``QuestionError`` where the records of a run cannot be written: said before any load."""
    try:
        prove_writable(_existing(results))
    except OSError as error:
        if error.errno in FULL:
            raise
        raise QuestionError(
            f"The records of a run go to {results}, where nothing can be written: {error.strerror}."
            " Name another folder with VAULTBENCH_RESULTS="
        ) from error


def prove_writable(folder: Path) -> None:
    """Raises ``OSError``, with the folder's name, where nothing more can be written."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(PROOF_BYTES))  # what a file system cannot pack away
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


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
