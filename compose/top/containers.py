"""CPU and memory of every container of a Compose project, as its control group counts them.

All containers are asked at once: some engines answer with a look that they take once a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.containers import DockerContainer

from compose.top.processes import HARNESS, Part

LABELS = "com.docker.compose"
BENCH = "bench"
ONCE = ("roles", "store-key")  # they end when their work is done
INSPECT_EVERY_S = 5.0
SOCKET = "unix:///var/run/docker.sock"
TIMEOUT = aiohttp.ClientTimeout(total=5)
NANO = 1e9
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


class EngineGone(Exception):
    """The Docker engine does not answer, or refuses; the text says which."""


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of a container's counters, at the engine's own time."""

    at_s: float
    cpu_s: float
    memory_bytes: int


@contextmanager
def open_containers(project: str) -> Iterator[ContainerProcesses]:
    """Asks the engine at `DOCKER_HOST`, else at the usual socket. Raises `EngineGone`."""
    with asyncio.Runner() as runner:
        docker = runner.run(_docker(os.environ.get("DOCKER_HOST") or SOCKET))
        try:
            yield ContainerProcesses(runner, docker, project)
        finally:
            runner.run(docker.close())


async def _docker(url: str) -> Docker:
    try:
        return Docker(url, timeout=TIMEOUT)
    except ValueError as exc:
        raise EngineGone(f"{url} is no address of a Docker engine") from exc


class ContainerProcesses:
    """Parts of one project; the container that measures is there while it does."""

    def __init__(self, runner: asyncio.Runner, docker: Docker, project: str) -> None:
        self._runner, self._docker, self._project = runner, docker, project
        self._looks: dict[str, Look] = {}
        self._cores: dict[str, float | None] = {}
        self._restarts: dict[str, tuple[float, int]] = {}

    def look(self, now_s: float) -> list[Part]:
        """All parts, as they are now. Raises `EngineGone`."""
        try:
            return self._runner.run(self._ask(now_s))
        except DockerError as exc:
            raise EngineGone(f"the Docker engine cannot be asked: {exc.message}") from exc
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise EngineGone(f"no answer from the Docker engine ({type(exc).__name__})") from exc

    async def _ask(self, now_s: float) -> list[Part]:
        label = json.dumps({"label": [f"{LABELS}.project={self._project}"]})
        entries = [
            one
            for one in await self._docker.containers.list(all=True, filters=label)
            if one["Labels"].get(f"{LABELS}.oneoff", "False") != "True"
        ]
        running = [one for one in entries if one["State"] in ("running", "paused")]
        looks = await asyncio.gather(*(self._read(one.id) for one in running))
        counts = await asyncio.gather(*(self._started(one.id, now_s) for one in running))
        self._remember({one.id: look for one, look in zip(running, looks, strict=True) if look is not None})
        restarts = {one.id: count for one, count in zip(running, counts, strict=True)}
        return sorted((self._part(one, restarts) for one in entries), key=lambda part: part.name)

    def _part(self, entry: DockerContainer, restarts: Mapping[str, int]) -> Part:
        found, again = self._looks.get(entry.id), restarts.get(entry.id, 0)
        name = _name(entry["Labels"])
        state = state_of(name, entry["State"], entry["Status"])
        if found is None:
            return Part(name, state, again, 0.0, 0)
        return Part(name, state, again, self._cores.get(entry.id), found.memory_bytes)

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

    async def _read(self, name: str) -> Look | None:
        """Nothing for a container that has ended meanwhile."""
        url = f"{self._docker.docker_host}/{self._docker.api_version}/containers/{name}/stats"
        # aiodocker's own call would wait until the engine has looked twice.
        async with self._docker.session.get(url, params={"stream": "false", "one-shot": "true"}) as answer:
            return look_in(await answer.json()) if answer.status == 200 else None

    async def _started(self, name: str, now_s: float) -> int:
        """How often the engine has started it again; seldom asked."""
        known = self._restarts.get(name)
        if known is None or now_s - known[0] >= INSPECT_EVERY_S:
            try:
                count = int((await self._docker.containers.get(name))["RestartCount"])
            except DockerError:  # it has ended meanwhile
                count = 0
            known = self._restarts[name] = (now_s, count)
        return known[1]


def _name(labels: Mapping[str, str]) -> str:
    service = labels.get(f"{LABELS}.service", "?")
    return HARNESS if service == BENCH else service


def state_of(name: str, state: str, status: str) -> str:
    """Health where there is a check, else what the engine says, with the exit code of what has ended."""
    for word, health in (("(unhealthy", "unhealthy"), ("(healthy", "healthy"), ("health: ", "starting")):
        if state == "running" and word in status:
            return health
    code = re.search(r"\(\d+\)", status) if state == "exited" else None
    if code is None:
        return state
    return "done" if name in ONCE and code[0] == "(0)" else f"{state} {code[0]}"


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
