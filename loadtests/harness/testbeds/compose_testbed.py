"""The system as containers of a Compose project, seen and acted upon through the Docker Engine API.

CPU and memory are what a container's control group counts, so everything that runs in it is included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from aiodocker import Docker, DockerError
from aiodocker.channel import ChannelSubscriber
from aiodocker.containers import DockerContainer

from loadtests.harness.background import beside
from loadtests.harness.testbeds import container, container_facts, container_stats, processes
from loadtests.harness.testbeds.container import STOP_GRACE_S, STOP_TIMEOUT, Listed
from loadtests.harness.testbeds.docker_engine import (
    FAILURES,
    TIMEOUT,
    Json,
    docker_errors,
    open_docker,
    statistics,
)
from loadtests.harness.testbeds.processes import Snapshot, Usage, Watched
from loadtests.harness.testbeds.testbed import Act, PartState, Seen, SystemNotUp, TestbedRefused

READY_LIMIT_S = 90.0
READY_POLL_S = 0.1
UNASKED = "The Docker engine cannot be asked about the containers"
WATCHED_EVENTS = ["die", "start", "oom", "kill", "pause", "unpause"]
Result = TypeVar("Result")
Ready = Callable[[str], Awaitable[bool]]


@dataclass(slots=True)
class ContainerTestbed:
    """Implements ``Testbed`` for one Compose project. ``ready`` asks a part whether it serves.

    Docker's own health checks run every ten seconds: right for an operator, too seldom here.
    """

    docker: Docker
    project: str
    ready: Ready
    runtime: ClassVar[str] = "compose"
    run_mode: ClassVar[str] = "containers of Docker Compose on one host; the load comes from a container too"
    observing: ClassVar[str] = (
        "each container once a second from its control group (Docker Engine API), its peak of memory is the "
        "highest of these looks; waits for a database every three seconds"
    )
    _started: dict[str, int] = field(default_factory=dict)  # by container: start of the life last seen
    _cpu_s: dict[str, float] = field(default_factory=dict)
    _events: ChannelSubscriber = field(init=False, repr=False)
    _changed: set[str] = field(default_factory=set)  # parts that run with an arm's environment

    def __post_init__(self) -> None:
        self._events = self.docker.events.subscribe(create_task=False)  # type: ignore[no-untyped-call]

    @docker_errors(SystemNotUp, UNASKED)
    async def listed(self) -> list[Listed]:
        """Every container of the project but those that were started for one command."""
        labels = json.dumps({"label": [f"{container.PROJECT}={self.project}"]})
        entries = await self.docker.containers.list(all=True, filters=labels)
        return [one for one in map(container.listed, entries) if one is not None]

    @docker_errors(SystemNotUp, UNASKED)
    async def parts(self) -> dict[str, PartState]:
        found = await self.listed()
        states = await asyncio.gather(*(self._state(one) for one in found))
        return {one.part: PartState(state) for one, state in zip(found, states, strict=True)}

    async def _state(self, one: Listed) -> str:
        if one.state != "running":
            return one.state
        state = container_stats.state_word((await self._show(one.id)).get("State", {}))
        return "healthy" if state in ("starting", "running") and await self.ready(one.part) else state

    @docker_errors(SystemNotUp, UNASKED)
    async def versions(self) -> dict[str, str]:
        return await container_facts.versions(self.docker, await self.running())

    async def running(self) -> list[Listed]:
        return [one for one in await self.listed() if one.state == "running"]

    @docker_errors(SystemNotUp, UNASKED)
    async def watched(self) -> list[Watched]:
        running = await self.running()
        inspected = await asyncio.gather(*(self._inspect(one.id) for one in running))
        found = []
        for one, state in zip(running, inspected, strict=True):
            if started := container.started_ns(state):
                self._started[one.id] = started
                found.append(Watched(one.part, state["State"]["Pid"], started, container=one.id))
        return found

    async def _show(self, name: str) -> Json:
        return await self.docker.containers.container(name).show()

    async def _inspect(self, name: str) -> Json:
        """Nothing for a container that is gone."""
        try:
            return await self._show(name)
        except DockerError as error:
            if error.status == 404:
                return {}
            raise

    @docker_errors(SystemNotUp, UNASKED)
    async def snapshot(
        self, clock: Callable[[], float], watched: Sequence[Watched], *, exact: bool = False
    ) -> Snapshot:
        inside = [one for one in watched if one.container]
        uses = await asyncio.gather(*(self._usage(one.container or "", exact=exact) for one in inside))
        # The kernel's counters are the same from inside a container: this is the machine's load.
        here = processes.snapshot(clock(), [one for one in watched if not one.container])
        found = {one.name: use for one, (_, use) in zip(inside, uses, strict=True) if use is not None}
        read_at = [at for at, use in uses if use is not None]
        at = sum(read_at) / len(read_at) if read_at else here.at
        return Snapshot(at, here.host, {**found, **here.usage})

    async def _usage(self, name: str, *, exact: bool) -> tuple[float, Usage | None]:
        """What a container has used, and when that was read: the engine may make us wait."""
        try:
            stats = await statistics(self.docker, name)
        except DockerError as error:
            if error.status in (404, 409):
                return 0.0, None
            raise
        read_at, use = (
            container_stats.read_at(stats),
            container_stats.usage(stats, self._started.get(name, 0)),
        )
        if use is None:
            return read_at, None
        began_anew = use.cpu_s < self._cpu_s.get(name, 0.0)
        self._cpu_s[name] = use.cpu_s
        if not exact and not began_anew:
            return read_at, use
        started = self._started[name] = container.started_ns(await self._inspect(name))
        return read_at, Usage(use.cpu_s, use.rss_bytes, started) if started else None

    async def act(self, what: Act, part: str) -> None:
        async with docker_errors(TestbedRefused, f"the Docker engine refused to {what} {part}"):
            one = self.docker.containers.container((await self._one(part)).id)
            if what == "pause":
                await one.pause()
            elif what == "resume":
                await one.unpause()
            else:
                await _kill(one)

    async def restart(self, part: str, environment: Mapping[str, str]) -> None:
        async with docker_errors(TestbedRefused, f"the Docker engine refused to restart {part}"):
            one = self.docker.containers.container((await self._one(part)).id)
            inspected = await one.show()
            if container.has_environment(inspected, environment):
                await one.restart(t=STOP_GRACE_S, timeout=STOP_TIMEOUT)
            else:
                await container.replace(self.docker, inspected, environment)
        (self._changed.add if environment else self._changed.discard)(part)
        await self._until_ready(part)

    async def _until_ready(self, part: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_LIMIT_S
        while not await self.ready(part):
            if loop.time() > deadline:
                raise TestbedRefused(f"{part} was restarted and is not ready after {READY_LIMIT_S:.0f} s")
            await asyncio.sleep(READY_POLL_S)

    async def _one(self, part: str) -> Listed:
        for one in await self.listed():
            if one.part == part:
                return one
        raise TestbedRefused(f"there is no container of {part} in project {self.project}")

    @docker_errors(SystemNotUp, UNASKED)
    async def facts(self) -> dict[str, dict[str, Any]]:
        return await container_facts.facts(self.docker, await self.running())

    def take_seen(self) -> list[Seen]:
        taken = []
        while not self._events.queue.empty():
            event = self._events.queue.get_nowait()  # None: the engine has gone
            if event is not None and (seen := seen_in(event)) is not None:
                taken.append(seen)
        return taken

    async def follow(self) -> None:
        """Keep what happens to the containers, until cancelled."""
        wanted = {
            "type": ["container"],
            "event": WATCHED_EVENTS,
            "label": [f"{container.PROJECT}={self.project}"],
        }
        with contextlib.suppress(*FAILURES):  # an engine that goes away is seen by everything else
            await self.docker.events.run(since=f"{time.time():.9f}", filters=json.dumps(wanted))

    async def restore(self) -> None:
        """Give every part its own environment again."""
        for part in sorted(self._changed):
            await self.restart(part, {})


async def _kill(one: DockerContainer) -> None:
    """SIGKILL, and the start that follows a crash: an engine leaves dead what it was told to kill."""
    policy = (await one.show())["HostConfig"].get("RestartPolicy", {}).get("Name") or "no"
    await one.kill(timeout=TIMEOUT)
    await one.wait(timeout=TIMEOUT)
    if policy != "no":
        await one.start()


def seen_in(event: Mapping[str, Any]) -> Seen | None:
    """An event of the engine as ours; nothing for containers that are no part of the system."""
    actor = event.get("Actor", {})
    attributes = actor.get("Attributes", {})
    if not container.belongs(attributes):
        return None
    detail = {"container": str(actor.get("ID", ""))[: container.ID_LENGTH]}
    detail |= {name: attributes[name] for name in ("exitCode", "signal") if name in attributes}
    at = event.get("timeNano", 0) / container_stats.NANO
    return Seen(at, f"container-{event.get('Action')}", container.part_name(attributes), detail)


@asynccontextmanager
async def open_containers(project: str, ready: Ready, url: str = "") -> AsyncIterator[ContainerTestbed]:
    """The containers of a project, followed inside the block and as Compose made them after it.

    Raises ``SystemNotUp`` when no engine can be asked.
    """
    async with AsyncExitStack() as stack:
        async with docker_errors(SystemNotUp, UNASKED):
            docker = await stack.enter_async_context(open_docker(url))
        testbed = ContainerTestbed(docker, project, ready)
        stack.push_async_callback(testbed.restore)
        await stack.enter_async_context(beside(testbed.follow()))
        yield testbed


def parts_now(project: str, ready: Ready, url: str = "") -> dict[str, PartState]:
    """State of every part, for callers outside of any event loop (or inside of one: it has its own)."""

    async def ask() -> dict[str, PartState]:
        async with open_containers(project, ready, url) as testbed:
            return await testbed.parts()

    return _in_own_loop(ask())


def _in_own_loop(work: Coroutine[Any, Any, Result]) -> Result:
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()
