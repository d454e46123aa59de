"""What the harness asks of the place where the system runs: plain processes here, or containers.

Everything else goes over the wire and is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.processes import Snapshot, Watched

Act = Literal["kill", "pause", "resume"]
SERVICES = ("gateway", "auth", "upload", "files")
CLUSTERS = ("pg-auth", "pg-upload", "pg-files")
PARTS = (*SERVICES, *CLUSTERS)  # and the store
# States of a part that has its process, as the supervisor or Docker says them.
RUNNING = frozenset({"healthy", "unhealthy", "starting", "running"})


class SystemNotUp(Exception):
    """There is nothing to measure; the message is for people and names the command that helps."""


class TestbedRefused(Exception):
    """What runs the parts did not do what was asked; the message holds its reason."""

    __test__ = False  # no test class, whatever its name begins with


@dataclass(frozen=True, slots=True)
class PartState:
    """A part as whatever runs it sees it. ``state`` is ``healthy`` when it can be used."""

    state: str
    version: str = ""  # where it is known without asking

    @property
    def runs(self) -> bool:
        """Whether its process is there, well or not."""
        return self.state in RUNNING


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that happened to a part beside the run, e.g. its death."""

    at: float
    kind: str
    part: str
    detail: Mapping[str, Any] = field(default_factory=dict)


class Testbed(Protocol):
    """One running system, as far as the way it is run matters."""

    runtime: ClassVar[str]  # "native" or "compose"
    run_mode: ClassVar[str]  # in words, for the manifest
    observing: ClassVar[str]  # how CPU and memory are read, for the manifest

    async def parts(self) -> Mapping[str, PartState]:
        """State of every part."""

    async def versions(self) -> Mapping[str, str]:
        """Version of every part, as it says itself."""

    async def watched(self) -> list[Watched]:
        """The parts that run now, each with what identifies this life of it."""

    async def snapshot(
        self, clock: Callable[[], float], watched: Sequence[Watched], *, exact: bool = False
    ) -> Snapshot:
        """Look at everything once; ``exact`` also makes sure that each is still the same life of it."""
        del exact  # a look at processes always tells lives apart
        return processes.snapshot(clock(), watched)

    async def act(self, what: Act, part: str) -> None:
        """Kill, pause or resume a part. Raises ``TestbedRefused``."""

    async def restart(self, part: str, environment: Mapping[str, str]) -> None:
        """End a part in order and start it with these settings over its own; returns when it is healthy."""

    async def facts(self) -> dict[str, dict[str, Any]]:
        """What is known of each part beyond its settings: image, limits as read back."""
        return {}

    def take_seen(self) -> list[Seen]:
        """What happened to the parts since the last call; a restart is also seen by its start time."""
        return []


async def serves(testbed: Testbed, part: str) -> bool:
    """Whether there is such a part, and it runs, however late its last health answer was."""
    found = (await testbed.parts()).get(part)
    return found is not None and found.runs
