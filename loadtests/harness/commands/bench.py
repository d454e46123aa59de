"""``make bench``: how close uploads come to bare PUTs into the same store, in one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from loadtests.harness.commands import bench_table
from loadtests.harness.commands.bench_plan import ARMS, BenchTrial, bench_plan, bench_trials
from loadtests.harness.commands.bench_table import Group, Row
from loadtests.harness.strategies import load_strategies
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.model import Plan, Severity, Trial
from loadtests.harness.reporting.report import HTML, render_bundle
from loadtests.harness.running.manifest import make_manifest
from loadtests.harness.running.progress import Progress, minutes
from loadtests.harness.running.rig import Rig, open_rig
from loadtests.harness.running.session import interruptible, only_one, results_folder, run_id
from loadtests.harness.running.trial import run_trial
from loadtests.harness.testbeds.system import System, find_system

IDENTITIES = 32
COLOURS = {"stretch": "green", "must": "green", "missed": "red", "": "default"}


def bench(environ: Mapping[str, str], command: str, console: Console) -> int:
    """Run the benchmark and print its table. 1 if an audit failed, else 0: a missed number is no error."""
    system = find_system(environ)
    trials = bench_trials()
    plan = bench_plan(run_id("bench", "bench"), trials, load_strategies())
    console.print(
        f"{len(trials)} trials, about {minutes(plan.estimated_s)}. No login, no pauses, every upload checked."
    )
    writer = BundleWriter(results_folder(environ) / plan.run)
    with only_one(system.run_dir):
        return asyncio.run(_bench(system, plan, trials, writer=writer, command=command, console=console))


async def _bench(
    system: System,
    plan: Plan,
    trials: list[BenchTrial],
    *,
    writer: BundleWriter,
    command: str,
    console: Console,
) -> int:
    strategies = load_strategies()
    async with open_rig(plan.run, system, strategies) as rig, interruptible(rig, console):
        rig.push = False  # CPU is what is measured
        with Progress(console, estimated_s=plan.estimated_s) as progress:
            progress.planned(len(trials), plan.estimated_s)
            progress.phase("signing up users")
            await rig.create_identities(IDENTITIES)
            done = await _trials(rig, plan, trials, writer=writer, progress=progress, command=command)
        await rig.cleaner.clean()
    done = [(group, trial) for group, trial in done if not trial.interrupted]
    found = bench_table.rows(done, strategies)
    writer.write_json("bench.json", [asdict(row) | {"reached": row.reached} for row in found])
    console.print(table(found))
    console.print(price_table(done))
    render_bundle(writer.path)
    console.print(f"Report   {writer.path / HTML}", markup=False, highlight=False, soft_wrap=True)
    invalid = [trial.plan.trial for _, trial in done if is_invalid(trial)]
    if invalid:
        console.print(f"[red]Invalid trials: {', '.join(invalid)}[/]; their warnings are in trials.jsonl.")
    return 130 if rig.stop.is_set() else int(bool(invalid))


async def _trials(
    rig: Rig,
    plan: Plan,
    trials: list[BenchTrial],
    *,
    writer: BundleWriter,
    progress: Progress,
    command: str,
) -> list[tuple[str, Trial]]:
    writer.write_plan(plan)
    manifest = await make_manifest(rig, plan, started_at=time.time(), command=command)
    writer.write_manifest(manifest)
    done: list[tuple[str, Trial]] = []
    for item in trials:
        if rig.stop.is_set():
            break
        rig.piece_bytes = item.piece_bytes
        progress.trial(item.plan)
        trial = await run_trial(rig, item.plan, writer, progress)
        progress.finished(trial)
        done.append((item.group, trial))
    update = {"ended_at": time.time(), "interrupted": rig.stop.is_set()}
    writer.write_manifest(manifest.model_copy(update=update))
    return done


def is_invalid(trial: Trial) -> bool:
    return any(warn.severity is Severity.INVALID for warn in trial.warnings)


def table(found: list[Row]) -> Table:
    """The rows as people read them."""
    shown = Table(title="Against bare PUTs into the same store", title_justify="left")
    shown.add_column("quantity")
    for title in ("measured", "must", "stretch", "reached"):
        shown.add_column(title, justify="right")
    for row in found:
        colour = COLOURS[row.reached]
        cells = [_number(value, row.unit) for value in (row.value, row.must, row.stretch)]
        shown.add_row(row.quantity, *cells, f"[{colour}]{row.reached}[/]")
    return shown


def price_table(done: Group) -> Table:
    """Where the time goes: CPU-milliseconds per upload by process, at the main level."""
    prices = {arm: bench_table.by_process(done, arm) for arm in (*ARMS, "raw-put")}
    shown = Table(title="CPU-milliseconds per upload", title_justify="left")
    shown.add_column("process")
    for arm in prices:
        shown.add_column(arm, justify="right")
    for name in sorted({name for own in prices.values() for name in own}):
        shown.add_row(name, *(_number(own.get(name), "") for own in prices.values()))
    return shown


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.2f}{unit}" if value < 100 else f"{value:.0f}{unit}"
