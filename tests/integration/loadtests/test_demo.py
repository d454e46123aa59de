"""``make demo`` and ``make smoke`` as processes, and a strategy that only its own script knows."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from loadtests.harness.clients.strategies import STRATEGIES_FOLDER, load_strategies
from loadtests.harness.running import scripted
from loadtests.harness.running.rig import open_rig
from loadtests.harness.testbeds.system import ROOT, find_system
from loadtests.harness.testbeds.target import Target
from tests import demo
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PROGRAM = """
import os, sys
from rich.console import Console
from loadtests.harness.commands.{name} import {name}
sys.exit({name}(os.environ, Console(width=160)))
"""


def environ_of(system: System) -> dict[str, str]:
    return {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}


async def run(system: System, name: str, **words: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM.format(name=name), cwd=ROOT,
        env=environ_of(system) | {"PYTHONPATH": str(ROOT)} | words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_demo_shows_every_step_of_every_strategy(system: System) -> None:
    code, output = await run(system, "demo")
    assert code == 0, output
    for strategy in load_strategies().values():
        assert strategy.manifest.title in output
    for words in ("ask for a session", "report the part", "join the parts", "1,048,576", "make stress"):
        assert words in output


async def test_over_a_slower_network_every_request_of_a_client_takes_its_round_trip(system: System) -> None:
    """To the gateway and to the store alike."""
    code, output = await run(system, "demo", RTT_MS="60")
    assert code == 0, output
    assert "one at a time over a network of 60 ms round trip" in output
    took = demo.steps(output)
    assert {path for path, _ in took} >= {"you→gateway→upload", "you→store"}
    assert min(ms for _, ms in took) >= 60


async def test_smoke_uploads_and_reads_back_by_every_strategy(system: System) -> None:
    code, output = await run(system, "smoke")
    assert code == 0, output
    assert output.count("stored, listed and read back") == len(load_strategies())


async def test_smoke_over_a_slower_network_passes_too(system: System) -> None:
    code, output = await run(system, "smoke", RTT_MS="20", BANDWIDTH_MBIT="400")
    assert code == 0, output
    assert "health routes answer 200 over a network of 20 ms round trip and 400 Mbit/s" in output
    assert output.count("stored, listed and read back") == len(load_strategies())


async def test_a_strategy_that_only_k6_knows_uploads_by_its_own_script(
    system: System, tmp_path: Path
) -> None:
    shutil.copytree(STRATEGIES_FOLDER / "direct-multipart", tmp_path / "of-our-own")
    strategies = load_strategies(tmp_path)
    found = find_system(environ_of(system))
    async with open_rig("script", {"": found}, strategies) as rig:
        hold = rig.hold
        await hold.create_identities("script", 1)
        shown = await scripted.play(rig, strategies["of-our-own"], 12 * 1024 * 1024, uploads=2)
        target, user = Target(rig.http, found.gateway_url), hold.identities[0]
        assert shown.file_id in [file.file_id for file in await target.files(user)]
        returned = await target.download(user, shown.file_id)
        assert returned.sha256 == sha256(shown.content).hexdigest()
        await hold.cleaner.clean()
    assert [step.name for step in shown.steps] == ["session", *["put", "register"] * 3, "complete"]
    assert sum(step.sent_bytes for step in shown.steps) == len(shown.content)
    assert {step.path_of_bytes for step in shown.steps if step.name == "put"} == {"you → store"}
