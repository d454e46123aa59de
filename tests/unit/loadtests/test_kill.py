"""A planned kill: whose processes, when, and until they serve again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from loadtests.harness.metrics.exporter import Activity
from loadtests.harness.records.plan import Stretch
from loadtests.harness.running import kill
from loadtests.harness.running.kill import kill_in
from loadtests.harness.running.rig import Hold, Rig
from loadtests.harness.testbeds.affinity import split
from loadtests.harness.testbeds.processes import HostTime, Snapshot, Watched
from loadtests.harness.testbeds.system import System
from loadtests.harness.testbeds.testbed import Act, PartState, Seen, TestbedRefused

pytestmark = pytest.mark.unit

NOTHING = cast(Any, None)


@dataclass
class Supervised:
    """A stack whose supervisor needs a few looks to start what was killed, and to write down that it did."""

    runtime: ClassVar[str] = "native"
    run_mode: ClassVar[str] = ""
    observing: ClassVar[str] = ""
    pids: dict[str, int] = field(default_factory=lambda: {"gateway": 1, "upload": 2, "upload-2": 3})
    states: dict[str, str] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    looks: int = 0
    comes_back: bool = True

    async def act(self, what: Act, part: str) -> None:
        assert what == "kill"
        self.killed.append(part)

    async def parts(self) -> Mapping[str, PartState]:
        """First what was written before the kill; then another process that starts, then serves."""
        if self.killed and self.comes_back:
            self.looks += 1
            if self.looks == 2:
                self.pids |= {part: 100 + self.pids[part] for part in self.killed}
                self.states = dict.fromkeys(self.killed, "starting")
            if self.looks == 3:
                self.states = {}
        return {part: PartState(self.states.get(part, "healthy")) for part in self.pids}

    async def watched(self) -> list[Watched]:
        return [Watched(part, pid, start_ticks=pid) for part, pid in self.pids.items()]

    async def versions(self) -> Mapping[str, str]:
        return {}

    async def snapshot(
        self, clock: Callable[[], float], watched: Sequence[Watched], *, exact: bool = False
    ) -> Snapshot:
        return Snapshot(clock(), HostTime(0.0, 0.0))

    async def restart(self, part: str, environment: Mapping[str, str]) -> None:
        raise AssertionError("nobody restarts it but its supervisor")

    async def facts(self) -> dict[str, dict[str, Any]]:
        return {}

    def take_seen(self) -> list[Seen]:
        return []


def system_of(testbed: Supervised) -> System:
    return System(
        root=Path(), run_dir=Path(), gateway_url="", admin_urls=dict.fromkeys(testbed.pids, ""),
        endpoints=NOTHING, store=NOTHING, environ={},
    )  # fmt: skip


def rig_of(testbed: Supervised, stack: str = "detached", system: System | None = None) -> Rig:
    hold = Hold(
        gateway_url="", testbed=testbed, http=NOTHING, cleaner=NOTHING, auditor=NOTHING,
        system=system or system_of(testbed),
    )  # fmt: skip
    return Rig(
        run="r", holds={stack: hold}, k6_program=Path(), strategies={}, work_dir=Path(),
        activity=Activity("r"), http=NOTHING, cores=split({0}),
    )  # fmt: skip


def stretch(t0: float | None = None) -> Stretch:
    return Stretch(
        stretch="s001", part="kill", t0=time.time() if t0 is None else t0, period_s=6.0, washout_s=0.7,
        order=("detached with a kill",), blocks=(0,),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "POLL_S", 0.0)


async def test_all_processes_of_the_service_are_killed_and_waited_for() -> None:
    testbed = Supervised()
    rig = rig_of(testbed)
    assert await kill_in(rig, "detached", stretch(), 0.0)
    assert testbed.killed == ["upload", "upload-2"]
    assert testbed.looks == 3, "neither the state of before nor a process that only starts is enough"
    told = [(event.kind, event.detail) for event in rig.events]
    assert told == [
        ("kill", {"stretch": "s001", "stack": "detached", "service": "upload", "parts": testbed.killed}),
        ("recovered", {"stretch": "s001", "stack": "detached"}),
    ]


async def test_a_run_that_ends_before_kills_nobody() -> None:
    testbed = Supervised()
    rig = rig_of(testbed)
    rig.stop.set()
    assert not await kill_in(rig, "detached", stretch(time.time() + 1000), 3.0)
    assert testbed.killed == [] and rig.events == []


async def test_only_stacks_of_the_run_s_own_are_touched() -> None:
    testbed = Supervised()
    contained = replace(system_of(testbed), project="vaultbench")
    for rig, stack in ((rig_of(testbed, ""), ""), (rig_of(testbed, system=contained), "detached")):
        with pytest.raises(TestbedRefused, match="stacks that the run started itself"):
            await kill_in(rig, stack, stretch(), 0.0)
    other = rig_of(testbed)
    other.holds["detached"].system = None  # another implementation, of which only the address is known
    with pytest.raises(TestbedRefused, match="stacks that the run started itself"):
        await kill_in(other, "detached", stretch(), 0.0)
    assert testbed.killed == []


async def test_a_service_that_does_not_come_back_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "RECOVERY_LIMIT_S", 0.05)
    with pytest.raises(TestbedRefused, match="upload, upload-2 did not serve again within"):
        await kill_in(rig_of(Supervised(comes_back=False)), "detached", stretch(), 0.0)


async def test_a_service_that_does_not_run_cannot_be_killed() -> None:
    testbed = Supervised()
    rig = rig_of(testbed)
    del testbed.pids["upload-2"]
    with pytest.raises(TestbedRefused, match="upload-2 was to be killed and did not run"):
        await kill_in(rig, "detached", stretch(), 0.0)
    assert testbed.killed == []
