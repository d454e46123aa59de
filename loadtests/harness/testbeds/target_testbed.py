"""Another implementation of the contract: an address and, where somebody names them, its processes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.processes import Watched
from loadtests.harness.testbeds.testbed import Act, PartState, Testbed, TestbedRefused

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_TAKEN = ("harness", "k6")  # what ours are called in every look


@dataclass(frozen=True, slots=True)
class TargetTestbed(Testbed):
    """What is not ours to start, stop or look into.

    ``named`` are names and ids of processes, see ``read_pids``; each counts with its children.
    """

    url: str
    named: tuple[tuple[str, int], ...] = ()
    runtime: ClassVar[str] = "native"
    run_mode: ClassVar[str] = "another implementation, known by its address"
    observing: ClassVar[str] = "the processes that PIDS names, once a second"

    async def parts(self) -> dict[str, PartState]:
        return {}

    async def versions(self) -> dict[str, str]:
        return {}

    async def watched(self) -> list[Watched]:
        lives = ((name, pid, processes.start_ticks(pid)) for name, pid in self.named)
        return [Watched(name, pid, ticks, family=True) for name, pid, ticks in lives if ticks is not None]

    async def act(self, what: Act, part: str) -> None:
        raise TestbedRefused(f"{what} {part}: {self.url} is not ours")

    async def restart(self, part: str, environment: Mapping[str, str]) -> None:
        raise TestbedRefused(f"restart {part}: {self.url} is not ours")


def read_pids(path: Path) -> tuple[tuple[str, int], ...]:
    """Names and ids of running processes from lines ``name pid``; several of one name are numbered as
    replicas are: ``worker``, ``worker-2``.

    Raises ``ValueError`` for a line that is none of these, a process that does not run, or no line at all,
    and ``OSError``.
    """
    counts, found = Counter[str](), dict[str, int]()
    for line in filter(str.strip, path.read_text(encoding="utf-8").splitlines()):
        name, pid = line.split()
        if not _NAME.fullmatch(name) or name in _TAKEN or not (pid.isascii() and pid.isdecimal()):
            raise ValueError(line)
        if processes.start_ticks(int(pid)) is None:
            raise ValueError(line)
        counts[name] += 1
        numbered = name if counts[name] == 1 else f"{name}-{counts[name]}"
        if numbered in found or int(pid) in found.values():
            raise ValueError(line)
        found[numbered] = int(pid)
    if not found:
        raise ValueError(path.name)
    return tuple(found.items())
