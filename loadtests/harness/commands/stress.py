"""``make stress``: one experiment from its file to its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from loadtests.harness.commands.panels import print_panels, record_run
from loadtests.harness.planning.experiment import EXPERIMENTS_FOLDER, load_experiment
from loadtests.harness.planning.overrides import read_overrides
from loadtests.harness.planning.plan import Planner
from loadtests.harness.planning.plan_arms import PlanError
from loadtests.harness.strategies import load_strategies
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.reporting.report import render_bundle
from loadtests.harness.reporting.terminal import print_result
from loadtests.harness.running.progress import Progress, minutes
from loadtests.harness.running.rig import open_rig
from loadtests.harness.running.runner import Runner
from loadtests.harness.running.session import interruptible, only_one, results_folder, run_id
from loadtests.harness.testbeds.system import find_system

INTERRUPTED = 130


def stress(name: str, environ: Mapping[str, str], command: str, console: Console) -> int:
    """Run an experiment and print its answer; returns the exit code."""
    strategies = load_strategies()
    overrides = read_overrides(environ, strategies)
    if overrides.sleeps != "model":
        raise PlanError(
            f"SLEEPS={overrides.sleeps} belongs to make journey; users of make stress never pause"
        )
    experiment = load_experiment(EXPERIMENTS_FOLDER / f"{name}.yaml")
    system = find_system(environ)
    run = run_id(experiment.id, overrides.profile)
    planner = Planner(run, experiment, overrides, strategies)
    writer = BundleWriter(results_folder(environ) / run)
    announce(planner, writer.path, console)
    with only_one(system.run_dir):
        interrupted = asyncio.run(
            _run(planner, writer, system_environ=environ, command=command, console=console)
        )
    return finish(writer.path, console, interrupted=interrupted, environ=environ)


def announce(planner: Planner, path: Path, console: Console) -> None:
    """What will be done and how long it takes, before anything starts."""
    expected = planner.estimate()
    console.print(f"[bold]{planner.experiment.question}[/]")
    names = ", ".join(arm.strategy for arm in planner.arms)
    console.print(
        f"Comparing {names}; profile {planner.overrides.profile}, {planner.file_size_bytes:,} bytes per file."
    )
    if len(planner.arms) > 1 and len(planner.deciding) < 2:
        beside = ", ".join(planner.beside)
        console.print(
            f"This names no winner: {beside} runs beside the comparison (verdict: false in its manifest)."
        )
    console.print(
        f"About {expected.trials} trials, about {minutes(expected.seconds)}. Records go to {path}",
        highlight=False,
    )


async def _run(
    planner: Planner,
    writer: BundleWriter,
    *,
    system_environ: Mapping[str, str],
    command: str,
    console: Console,
) -> bool:
    system = find_system(system_environ)
    read_all = planner.profile.read_back == "all"
    async with open_rig(planner.run, system, planner.strategies, read_all=read_all) as rig:
        with Progress(console, estimated_s=planner.estimate().seconds) as progress:
            async with interruptible(rig, console):
                await Runner(rig, planner, writer, progress).run(command)
        await record_run(rig, writer.path, console)
        await rig.cleaner.clean()
        return rig.stop.is_set()


def finish(path: Path, console: Console, *, interrupted: bool, environ: Mapping[str, str]) -> int:
    """Analyse, render and print a bundle; returns the exit code."""
    analysis = render_bundle(path)
    print_result(analysis, path, console)
    print_panels(path, environ, console)
    if interrupted:
        console.print(
            f"[red]Interrupted:[/] what was measured until then is in {path}. The system still runs."
        )
        return INTERRUPTED
    return analysis.exit_code
