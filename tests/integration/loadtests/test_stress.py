"""The harness as a person uses it: the command, against a running system, from start to report."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from loadtests.harness.running.rig import open_rig

from loadtests.harness.planning.strategies import STRATEGIES_FOLDER, load_strategies
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import LedgerClass, Question
from loadtests.harness.running import scripted
from loadtests.harness.running.client import Uploader
from loadtests.harness.running.console import read_tail
from loadtests.harness.testbeds.system import ROOT, find_system
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


async def start(system: System, results: Path, *words: str, **overrides: str) -> asyncio.subprocess.Process:
    environ = {
        **{name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "PROFILE")},
        **system.stack.env,
        "VAULTBENCH_RUN_DIR": str(system.stack.run_dir),
        "VAULTBENCH_RESULTS": str(results),
        **overrides,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests", *words, cwd=ROOT, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def run(system: System, results: Path, *words: str, **overrides: str) -> tuple[int, str]:
    process = await start(system, results, *words, **overrides)
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.fixture(scope="module")
async def smoke_run(
    system: System, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Bundle, str]]:
    results = tmp_path_factory.mktemp("results")
    code, output = await run(system, results, "stress", PROFILE="smoke")
    assert code in (0, 2), output  # a busy machine may void the numbers, never the books
    (path,) = results.iterdir()
    yield Bundle(path), output


def test_every_planned_trial_was_run_and_verified(smoke_run: tuple[Bundle, str]) -> None:
    bundle, _ = smoke_run
    assert [trial.plan for trial in bundle.trials()] == list(bundle.plan().trials)
    for name, table in bundle.ledgers().items():
        assert not table.failed, (name, table.offending)
        assert table.classes[LedgerClass.VERIFIED] == table.intents == table.acks > 0


def test_an_upload_costs_what_the_manifests_say(smoke_run: tuple[Bundle, str]) -> None:
    """Large files, one at a time: every statement and store request is accounted for."""
    bundle, _ = smoke_run
    strategies = load_strategies()
    large = [trial for trial in bundle.trials() if trial.plan.question is Question.LARGE]
    assert sorted(trial.plan.arm for trial in large) == sorted(bundle.plan().strategies)
    for trial in large:
        strategy = strategies[trial.plan.arm]
        pieces = strategy.pieces(trial.plan.file_size_bytes)
        assert trial.k6.iterations == 1
        assert trial.counters.statements == strategy.expected_statements(pieces), trial.plan.arm
        assert sum(trial.counters.store_requests.values()) == strategy.expected_store_requests(pieces)


def test_smoke_names_no_winner_and_leaves_its_reports(smoke_run: tuple[Bundle, str]) -> None:
    bundle, output = smoke_run
    for name in ("manifest.json", "analysis.json", "report.html", "report.md", "report.json", "table.csv"):
        assert (bundle.path / name).stat().st_size > 0, name
    assert "about" in output.lower()
    assert str(bundle.path / "report.html") in output.replace("\n", "")


def test_no_secret_is_in_the_bundle(smoke_run: tuple[Bundle, str], system: System) -> None:
    bundle, output = smoke_run
    secrets = [
        value for name, value in system.stack.env.items()
        if name.endswith(("_PASSWORD", "_SECRET", "SECRET_KEY")) or name.startswith("INTERNAL_KEY")
    ]  # fmt: skip
    content = output + "".join(
        path.read_text(errors="replace")
        for path in bundle.path.rglob("*")
        if path.is_file() and path.suffix != ".gz"
    )
    assert secrets
    assert not [value for value in secrets if value and value in content]
    assert "eyJ" not in content, "a token"


async def test_ctrl_c_leaves_an_honest_bundle_and_a_running_system(system: System, tmp_path: Path) -> None:
    process = await start(system, tmp_path, "stress", PROFILE="smoke")
    console = await asyncio.wait_for(_first_upload(tmp_path), 60)
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert process.returncode == 130, output.decode()
    bundle = Bundle(console.parent.parent)
    assert bundle.manifest().interrupted
    (trial,) = bundle.trials()
    assert trial.interrupted
    (table,) = bundle.ledgers().values()
    assert not table.failed
    assert table.intents > 0
    assert (bundle.path / "report.html").exists()
    code, output_again = await run(system, tmp_path, "smoke")
    assert code == 0, output_again


async def _first_upload(results: Path) -> Path:
    """The console file of the first trial, once an upload has ended in it."""
    while (found := _with_outcome(results)) is None:
        await asyncio.sleep(0.1)
    return found


def _with_outcome(results: Path) -> Path | None:
    consoles = results.glob("*/k6/*.console.jsonl")
    return next((path for path in consoles if any(line["e"] == "o" for line in read_tail(path)[0])), None)


async def test_demo_shows_every_step_of_every_strategy(system: System, tmp_path: Path) -> None:
    code, output = await run(system, tmp_path, "demo", COLUMNS="160")
    assert code == 0, output
    for strategy in load_strategies().values():
        assert strategy.manifest.title in output
    for words in ("ask for a session", "report the part", "join the parts", "1,048,576", "make stress"):
        assert words in output


async def test_a_strategy_that_only_k6_knows_uploads_by_its_own_script(
    system: System, tmp_path: Path
) -> None:
    shutil.copytree(STRATEGIES_FOLDER / "direct-multipart", tmp_path / "of-our-own")
    strategies = load_strategies(tmp_path)
    environ = {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}
    found = find_system(environ)
    async with open_rig("script", found, strategies) as rig:
        await rig.create_identities(1)
        played = await scripted.play(rig, strategies["of-our-own"], 12 * 1024 * 1024)
        uploader = Uploader(rig.http, found.gateway_url, rig.identities[0].token)
        assert played.file_id in await uploader.listed()
        assert await uploader.download(played.file_id) == played.content
        await rig.cleaner.clean()
    assert [step.name for step in played.steps] == ["session", *["put", "register"] * 3, "complete"]
    assert sum(step.sent_bytes for step in played.steps) == len(played.content)
    assert {step.path_of_bytes for step in played.steps if step.name == "put"} == {"you → store"}


def test_smoke_asks_every_question(smoke_run: tuple[Bundle, str]) -> None:
    bundle, _ = smoke_run
    asked = {trial.plan.question for trial in bundle.trials()}
    assert asked == {Question.RAMP, Question.CAPACITY, Question.LARGE, Question.NEIGHBOURS}


def test_open_arrivals_know_when_they_were_due(smoke_run: tuple[Bundle, str]) -> None:
    bundle, _ = smoke_run
    opened = [t for t in bundle.trials() if t.plan.load.rate_per_s]
    assert opened
    for trial in opened:
        late_s = sorted(s.intent_at - (s.scheduled_at or 0) for s in bundle.uploads(trial.plan.trial))
        assert -0.01 < late_s[0] < 1.0, "the schedule is the generator's own"
    closed = next(t for t in bundle.trials() if t.plan.question is Question.CAPACITY)
    assert {s.scheduled_at for s in bundle.uploads(closed.plan.trial)} == {None}


async def test_two_runs_at_once_are_refused(system: System, tmp_path: Path) -> None:
    process = await start(system, tmp_path, "stress", PROFILE="smoke")
    await asyncio.wait_for(_first_upload(tmp_path), 60)
    code, output = await run(system, tmp_path, "demo")
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert code == 2
    assert "Another run is using this system" in output
