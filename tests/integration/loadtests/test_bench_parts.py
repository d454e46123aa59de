"""``make bench PARTS=1`` on a running system: each trial with its arm's settings, none left behind."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.harness.commands.bench_parts import latencies, measure, rows, table
from loadtests.harness.planning.own_parts import OwnParts, load_own_parts, parts_plan, parts_trials
from loadtests.harness.planning.strategies import load_strategies
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.model import LedgerClass
from loadtests.harness.running.rig import open_rig
from loadtests.harness.running.system import find_system
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def short() -> OwnParts:
    """The declared experiment with its first and last arm only, too short to say anything."""
    declared = load_own_parts()
    arms = {name: declared.arms[name] for name in ("own", "libraries")}
    changes = {"rounds": 1, "vus": 2, "identities": 2, "warmup_s": 0.5, "window_s": 2.0, "arms": arms}
    return declared.model_copy(update=changes)


async def test_each_trial_runs_with_its_arm_and_the_usual_settings_come_back(
    system: System, tmp_path: Path
) -> None:
    environ = {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}
    found, declared, strategies = find_system(environ), short(), load_strategies()
    trials = parts_trials(declared)
    plan = parts_plan("own-parts-test", declared, trials, strategies)
    writer, console = BundleWriter(tmp_path / "bundle"), Console(file=StringIO())
    done, interrupted = await measure(
        found, declared, plan, trials, writer=writer, command="test", console=console
    )
    assert not interrupted
    assert [(arm, trial.plan) for arm, trial in done] == [(item.arm, item.plan) for item in trials]
    for arm, trial in done:
        for process, variables in declared.environment(arm).items():
            for name, value in variables.items():
                assert trial.config[f"{process}.{name}"] == value
    bundle = Bundle(writer.path)
    for name, books in bundle.ledgers().items():
        assert not books.failed, (name, books.offending)
        assert books.classes[LedgerClass.VERIFIED] == books.intents == books.acks > 0
    result = rows(declared, done, latencies(bundle, done))
    assert [(row.strategy, row.arm) for row in result] == [
        (strategy, arm) for strategy in declared.strategies for arm in declared.arms
    ]
    assert all(row.cpu_ms is not None and row.cpu_ratio is not None for row in result)
    assert all(row.cpu_ratio == 1 for row in result if row.arm == "own")
    assert table(result).row_count == len(result)
    async with open_rig("after", found, strategies) as rig:
        settings = await rig.settings()
    for process, variables in declared.environment("own").items():
        own = next(values for name, values in settings.items() if name.startswith(process))
        assert {name: own[name] for name in variables} == variables
