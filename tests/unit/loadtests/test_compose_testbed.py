"""The testbed of containers: seen, told apart, restarted with other settings, killed, given back."""

from __future__ import annotations

import asyncio
import copy
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtests.harness.testbeds import compose_testbed
from loadtests.harness.testbeds.compose_testbed import ContainerTestbed, open_containers
from loadtests.harness.testbeds.processes import Watched, start_ticks
from loadtests.harness.testbeds.testbed import PartState, SystemNotUp, TestbedRefused
from loadtests.harness.watch import Site, Watcher
from tests.unit.loadtests.engine_server import PROJECT, RECORDED, FakeEngine, serving

pytestmark = pytest.mark.unit


async def ready(part: str) -> bool:
    return part != "files"


@asynccontextmanager
async def opened(engine: FakeEngine, folder: Path) -> AsyncIterator[ContainerTestbed]:
    async with serving(engine, folder) as path, open_containers(PROJECT, ready, path) as testbed:
        yield testbed


def one_part() -> FakeEngine:
    engine = FakeEngine()
    engine.add("upload")
    return engine


async def test_states_of_parts(tmp_path: Path) -> None:
    engine = one_part()
    engine.add("upload", 2, Health={"Status": "starting"})  # its own page answers before Docker's check ran
    engine.add("files", Health={"Status": "starting"})
    engine.add("minio").run(False)
    engine.add("bench")
    engine.add("auth").inspected["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    async with opened(engine, tmp_path) as testbed:
        found = await testbed.parts()
    assert found == {
        "upload": PartState("healthy"),
        "upload-2": PartState("healthy"),
        "files": PartState("starting"),
        "minio": PartState("exited"),
    }


async def test_parts_can_be_asked_for_inside_of_a_loop(tmp_path: Path) -> None:
    async with serving(one_part(), tmp_path) as path:
        found = await asyncio.to_thread(compose_testbed.parts_now, PROJECT, ready, path)
    assert found == {"upload": PartState("healthy")}


async def test_no_engine_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemNotUp, match="Docker engine cannot be asked"):
        async with open_containers(PROJECT, ready, f"unix://{tmp_path}/nothing.sock"):
            pass


async def test_looks_hold_containers_and_processes_beside_each_other(tmp_path: Path) -> None:
    async with opened(one_part(), tmp_path) as testbed:
        own = Watched("harness", os.getpid(), start_ticks(os.getpid()) or 0)
        watched = [*await testbed.watched(), own]
        look = await testbed.snapshot(time.time, watched, exact=True)
    assert watched[0].pid == RECORDED["inspect"]["State"]["Pid"]
    assert set(look.usage) == {"upload", "harness"}
    assert look.at == pytest.approx(1795277640.421, abs=1e-3)  # when the engine read, not when we asked
    assert look.host.busy_s > 0


async def test_a_restart_between_two_looks_is_noticed(tmp_path: Path) -> None:
    engine = one_part()
    async with opened(engine, tmp_path) as testbed:
        watcher = Watcher({"": Site(testbed)}, testbed.docker.session)
        await watcher.meet()
        begin = await watcher.look()
        box = engine.boxes[0]
        box.run(True, "2026-11-21T17:30:00Z")
        box.stats["cpu_stats"]["cpu_usage"]["total_usage"] *= 5  # more than before: only the start tells
        end = await watcher.look()
    assert begin.lives["upload"] != end.lives["upload"]
    assert begin.lives["harness"] == end.lives["harness"]


async def test_falling_counters_alone_give_a_restart_away(tmp_path: Path) -> None:
    engine = one_part()
    async with opened(engine, tmp_path) as testbed:
        watched = await testbed.watched()
        before = await testbed.snapshot(time.time, watched)
        engine.boxes[0].run(True, "2026-11-21T17:30:00Z")
        engine.boxes[0].stats["cpu_stats"]["cpu_usage"]["total_usage"] = 1000
        after = await testbed.snapshot(time.time, watched)
    assert before.usage["upload"].start_ticks != after.usage["upload"].start_ticks


async def test_a_dead_or_removed_container_is_absent_from_a_look(tmp_path: Path) -> None:
    engine = one_part()
    engine.add("auth")
    async with opened(engine, tmp_path) as testbed:
        watched = await testbed.watched()
        engine.boxes[0].run(False)
        engine.boxes.pop()
        look = await testbed.snapshot(time.time, watched, exact=True)
    assert look.usage == {}


async def test_killing_ends_as_a_crash_would(tmp_path: Path) -> None:
    engine = one_part()
    async with opened(engine, tmp_path) as testbed:
        await testbed.act("kill", "upload")
        await testbed.act("pause", "upload")
        await testbed.act("resume", "upload")
        with pytest.raises(TestbedRefused, match="no container of auth in project"):
            await testbed.act("kill", "auth")
    assert [call for call, _ in engine.calls] == ["kill", "wait", "start", "pause", "unpause"]


async def test_a_refusal_names_what_was_asked(tmp_path: Path) -> None:
    engine = one_part()
    engine.refuse["pause"] = "Container is not running"
    async with opened(engine, tmp_path) as testbed:
        with pytest.raises(TestbedRefused, match=r"refused to pause upload: .*Container is not running"):
            await testbed.act("pause", "upload")


async def test_an_arm_gets_its_settings_and_the_part_its_own_ones_back(tmp_path: Path) -> None:
    engine = one_part()
    before = copy.deepcopy(engine.boxes[0].inspected)
    async with opened(engine, tmp_path) as testbed:
        await testbed.restart("upload", {})
        assert [call for call, _ in engine.calls] == ["restart"]  # nothing to change: the same container
        await testbed.restart("upload", {"COLOUR": "blue", "FINALISE": "queued"})
        changed = copy.deepcopy(engine.boxes)
    assert [box.name for box in changed] == [before["Name"].lstrip("/")]
    assert changed[0].inspected["Config"]["Env"][0] == "COLOUR=blue"
    assert "FINALISE=queued" in changed[0].inspected["Config"]["Env"]
    asked = engine.created[0]
    assert asked["HostConfig"] == before["HostConfig"]
    aliases = asked["NetworkingConfig"]["EndpointsConfig"]["vb3x_default"]["Aliases"]
    assert aliases[:2] == ["vb3x-upload-1", "upload"]
    assert "Hostname" not in asked
    # Leaving the block made it as Compose had made it.
    restored = engine.boxes[0].inspected
    assert restored["Config"]["Env"] == before["Config"]["Env"]
    assert restored["Config"]["Labels"] == before["Config"]["Labels"]


async def test_a_container_that_cannot_be_made_leaves_the_old_one_running(tmp_path: Path) -> None:
    engine = one_part()
    name = engine.boxes[0].name
    engine.refuse["create"] = "no space left on device"
    async with opened(engine, tmp_path) as testbed:
        with pytest.raises(TestbedRefused, match="no space left on device"):
            await testbed.restart("upload", {"COLOUR": "blue"})
    assert [(box.name, box.inspected["State"]["Running"]) for box in engine.boxes] == [(name, True)]


async def test_a_part_that_does_not_come_back_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose_testbed, "READY_LIMIT_S", 0.2)
    engine = FakeEngine()
    engine.add("files")
    async with opened(engine, tmp_path) as testbed:
        with pytest.raises(TestbedRefused, match="files was restarted and is not ready"):
            await testbed.restart("files", {})


async def test_what_happens_to_containers_is_kept(tmp_path: Path) -> None:
    engine = one_part()
    async with opened(engine, tmp_path) as testbed:
        while not engine.followers:
            await asyncio.sleep(0)
        for event in RECORDED["events"]:
            engine.followers[0].put_nowait(event)
        seen = testbed.take_seen()
        while not seen or seen[-1].kind != "container-start":
            await asyncio.sleep(0.001)
            seen += testbed.take_seen()
        assert testbed.take_seen() == []
    assert [one.kind for one in seen] == [f"container-{event['Action']}" for event in RECORDED["events"]]
    assert {one.part for one in seen} == {"upload"}
    assert [one.detail.get("exitCode") for one in seen if one.kind == "container-die"] == ["143"]
    assert seen[-1].at == pytest.approx(1795277639.177, abs=1e-3)


async def test_facts_name_image_and_limits_and_versions_are_asked_for(tmp_path: Path) -> None:
    engine = one_part()
    engine.printed["python"] = (0, "Python 3.11.14\r\n")
    engine.add("pg-upload")
    async with opened(engine, tmp_path) as testbed:
        facts, versions = await testbed.facts(), await testbed.versions()
    assert versions == {"upload": "Python 3.11.14", "docker": RECORDED["version"]["Version"]}
    assert facts["upload"]["image_id"] == RECORDED["inspect"]["Image"]
    assert facts["upload"]["limits"]["cpus"] == 0.5
    assert facts["upload"]["container"] == engine.boxes[0].id[:12]
