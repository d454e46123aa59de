"""``make govault`` as a process against a whole system: a short study, Ctrl-C, and no system at all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.govault.records import read_course
from loadtests.harness.govault.report import read_findings
from loadtests.harness.k6.console import read_tail
from loadtests.harness.running.rig import open_rig
from loadtests.harness.testbeds.system import ROOT, find_system
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def environ_of(system: System) -> dict[str, str]:
    return {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}


async def start(environ: dict[str, str], results: Path, **words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests", "govault", cwd=ROOT,
        env=environ | {"VAULTBENCH_RESULTS": str(results)} | words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


def study_in(results: Path) -> Path:
    (path,) = results.iterdir()
    return path


def uploaded(results: Path) -> bool:
    """Whether an upload has ended."""
    consoles = results.glob("*/k6/*/console.jsonl")
    return any(b'"e":"o"' in line for console in consoles for line in read_tail(console)[0])


async def nothing_is_left(system: System) -> bool:
    async with open_rig("after", {"": find_system(environ_of(system))}, load_strategies()) as rig:
        return not (await rig.hold.cleaner.clean()).removed


async def test_a_short_study_has_a_row_for_every_ramp(system: System, tmp_path: Path) -> None:
    process = await start(environ_of(system), tmp_path, SCALE="0.01", TIME="0.01")
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    path = study_in(tmp_path)
    found = read_findings(path)
    assert found.missing == ()
    assert len(found.rows) == 14
    for row in found.rows:
        assert (row.failed, row.lost, row.other_classes) == (0, 0, {}), row
        assert row.reached_vus == row.vus
        assert row.verified == row.acked == row.intents == row.rounds == row.iterations
        assert {one.tried for one in row.steps} == {row.rounds} == {one.ok for one in row.steps}
        assert row.requests == len(row.steps) * row.rounds
    assert not found.ledger.failed
    assert found.ledger.intents == sum(row.verified for row in found.rows)
    assert "Its sentences" in (path / "report.html").read_text(encoding="utf-8")
    assert await nothing_is_left(system)


async def test_ctrl_c_leaves_a_report_of_what_there_is(system: System, tmp_path: Path) -> None:
    process = await start(environ_of(system), tmp_path, SCALE="0.01", TIME="0.2")
    while not uploaded(tmp_path):
        assert process.returncode is None
        await asyncio.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = await process.communicate()
    assert process.returncode == 130, said.decode()
    path = study_in(tmp_path)
    assert [ramp.stopped for ramp in read_course(path).ramps] == ["interrupt"] * 14
    found = read_findings(path)
    assert found.interrupted
    assert len(found.rows) == 1
    assert found.rows[0].verified > 0
    assert await nothing_is_left(system)


async def test_without_a_system_there_is_a_sentence(tmp_path: Path) -> None:
    environ = {**os.environ, "VAULTBENCH_RUN_DIR": str(tmp_path / "none")}
    process = await start(environ, tmp_path / "results")
    said, _ = await process.communicate()
    assert process.returncode == 2
    assert "The system is not up. Start it with: make up" in said.decode()
