"""CPU and memory of every container of a Compose project, as its control group counts them.

All containers are asked at once: some engines answer with a look that they take once a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compose.top.engine import Engine, EngineGone
from compose.top.processes import HARNESS, Part

LABELS = "com.docker.compose"
BENCH = "bench"
INSPECT_EVERY_S = 5.0
ASKED_AT_ONCE = 8
NANO = 1e9
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of a container's counters, at the engine's own time."""

    at_s: float
    cpu_s: float
    memory_bytes: int


class ContainerProcesses:
    """Parts of one project; the container that measures is there while it does."""

    def __init__(self, engine: Engine, project: str) -> None:
        self._engine, self._project = engine, project
        self._looks: dict[str, Look] = {}
        self._cores: dict[str, float | None] = {}
        self._restarts: dict[str, tuple[float, int]] = {}

    def look(self, now_s: float) -> list[Part]:
        """All parts, as they are now. Raises `EngineGone`."""
        label = json.dumps({"label": [f"{LABELS}.project={self._project}"]})
        entries = [
            one
            for one in self._engine.get("/containers/json", all="true", filters=label)
            if one["Labels"].get(f"{LABELS}.oneoff", "False") != "True"
        ]
        running = [str(one["Id"]) for one in entries if one["State"] in ("running", "paused")]
        with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
            looks = dict(zip(running, threads.map(self._read, running), strict=True))
            counts = threads.map(lambda name: self._started(name, now_s), running)
            restarts = dict(zip(running, counts, strict=True))
        self._remember({name: one for name, one in looks.items() if one is not None})
        return sorted((self._part(one, restarts) for one in entries), key=lambda part: part.name)

    def _part(self, entry: Mapping[str, Any], restarts: Mapping[str, int]) -> Part:
        name, found = str(entry["Id"]), self._looks.get(str(entry["Id"]))
        if found is None:
            return Part(_name(entry["Labels"]), state_of(entry), restarts.get(name, 0), 0.0, 0)
        cores = self._cores.get(name)
        return Part(_name(entry["Labels"]), state_of(entry), restarts.get(name, 0), cores, found.memory_bytes)

    def _remember(self, looks: Mapping[str, Look]) -> None:
        """Rates; an engine that gives the same reading twice keeps the rate of before."""
        before, kept = self._looks, self._cores
        self._looks, self._cores = dict(looks), {}
        for name, now in looks.items():
            then = before.get(name)
            if then is not None and now.at_s > then.at_s:
                self._cores[name] = max(0.0, now.cpu_s - then.cpu_s) / (now.at_s - then.at_s)
            else:
                self._cores[name] = kept.get(name)

    def _read(self, name: str) -> Look | None:
        """Nothing for a container that has ended meanwhile."""
        try:
            return look_in(
                self._engine.get(f"/containers/{name}/stats", **{"stream": "false", "one-shot": "true"})
            )
        except EngineGone:
            return None

    def _started(self, name: str, now_s: float) -> int:
        """How often the engine has started it again; seldom asked."""
        known = self._restarts.get(name)
        if known is None or now_s - known[0] >= INSPECT_EVERY_S:
            try:
                count = int(self._engine.get(f"/containers/{name}/json").get("RestartCount", 0))
            except EngineGone:
                count = 0
            known = self._restarts[name] = (now_s, count)
        return known[1]


def _name(labels: Mapping[str, str]) -> str:
    service = labels.get(f"{LABELS}.service", "?")
    return HARNESS if service == BENCH else service


def state_of(entry: Mapping[str, Any]) -> str:
    """Health where there is a check, else what the engine says, with the exit code of what has ended."""
    status, state = str(entry.get("Status", "")), str(entry["State"])
    for word, health in (("(unhealthy", "unhealthy"), ("(healthy", "healthy"), ("health: ", "starting")):
        if state == "running" and word in status:
            return health
    code = re.search(r"\(\d+\)", status) if state == "exited" else None
    return f"{state} {code[0]}" if code else state


def look_in(stats: Mapping[str, Any]) -> Look | None:
    """What the counters say; nothing when the engine did not read them."""
    read, memory = str(stats.get("read", "")), stats.get("memory_stats", {})
    total = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)
    if not total or read.startswith("0001-"):
        return None
    return Look(seconds(read), total / NANO, _resident_bytes(memory.get("stats", {})))


def seconds(text: str) -> float:
    """Since the epoch; the engine gives nine decimals, which is more than Python reads."""
    return datetime.fromisoformat(_FRACTION.sub(r".\1", text).replace("Z", "+00:00")).timestamp()


def _resident_bytes(detail: Mapping[str, Any]) -> int:
    """What processes hold, without files that the kernel merely remembers."""
    if "anon" in detail:  # control groups version 2
        return int(detail["anon"]) + int(detail.get("file_mapped", 0))
    return int(detail.get("total_rss", 0)) + int(detail.get("total_mapped_file", 0))
