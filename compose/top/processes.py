"""CPU and memory of every part, from the supervisor's state and /proc.

Reading CPU time is a few microseconds per process; proportional memory makes the kernel walk page
tables, so it is read seldom.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from compose import life, process, scaling, view

MEMORY_EVERY_S = 5.0
HARNESS = "harness, k6"
HARNESS_LOCK = "harness.lock"
WORST_FIRST = {"bold red": 0, "yellow": 1}


@dataclass(frozen=True, slots=True)
class Part:
    """`cpu_cores` is None at the first look: a rate needs two. `count` processes may be shown as one."""

    name: str
    state: str
    restarts: int
    cpu_cores: float | None
    memory_bytes: int
    count: int = 1


class Processes(Protocol):
    """Whatever runs the parts."""

    def look(self, now_s: float) -> list[Part]:
        """All parts, as they are now; none when nothing runs."""


def by_service(parts: Iterable[Part]) -> list[Part]:
    """The processes of each service as one; its state is that of a process that is lost or unwell, if any."""
    found: dict[str, Part] = {}
    for part in parts:
        name = scaling.service_of(part.name)
        found[name] = _both(found[name], part) if name in found else dataclasses.replace(part, name=name)
    return list(found.values())


def _both(one: Part, other: Part) -> Part:
    known = None not in (one.cpu_cores, other.cpu_cores)
    return Part(
        one.name,
        min(one.state, other.state, key=lambda state: WORST_FIRST.get(view.colour(state), 2)),
        one.restarts + other.restarts,
        (one.cpu_cores or 0.0) + (other.cpu_cores or 0.0) if known else None,
        one.memory_bytes + other.memory_bytes,
        one.count + other.count,
    )


class NativeProcesses:
    """Parts of the supervisor of a run folder, and the harness with k6 while it runs."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._cpu_s: dict[tuple[str, int], tuple[float, float]] = {}
        self._memory: dict[tuple[str, int], tuple[float, int]] = {}

    def look(self, now_s: float) -> list[Part]:
        if not life.locked(self._run_dir):
            return []
        rows: dict[str, Any] = dict(life.read_state(self._run_dir).get("parts", {}))
        harness = self._harness()
        if harness:
            rows[HARNESS] = {"state": "healthy", "pid": harness, "restarts": 0}
        before, self._cpu_s = self._cpu_s, {}
        return [self._part(name, row, before, now_s) for name, row in rows.items()]

    def _part(
        self, name: str, row: dict[str, Any], before: dict[tuple[str, int], tuple[float, float]], now_s: float
    ) -> Part:
        pid, cores = row["pid"], None
        if not pid:
            return Part(name, row["state"], row["restarts"], 0.0, 0)
        key, used_s = (name, pid), process.cpu_s(process.tree(pid))
        self._cpu_s[key] = (now_s, used_s)
        if key in before and now_s > before[key][0]:
            cores = max(0.0, used_s - before[key][1]) / (now_s - before[key][0])
        return Part(name, row["state"], row["restarts"], cores, self._memory_bytes(key, now_s))

    def _memory_bytes(self, key: tuple[str, int], now_s: float) -> int:
        known = self._memory.get(key)
        if known is None or now_s - known[0] >= MEMORY_EVERY_S:
            known = self._memory[key] = (now_s, view.memory_bytes(key[1]))
        return known[1]

    def _harness(self) -> int:
        """Process id of the run that holds the harness's lock, or 0."""
        lock = self._run_dir / HARNESS_LOCK
        if not life.held(lock):
            return 0
        text = lock.read_text(encoding="ascii").strip()
        return int(text) if text.isdecimal() else 0
