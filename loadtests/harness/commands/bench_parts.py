"""``make bench PARTS=1``: what our own server, client and pool buy over their libraries, in one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from loadtests.harness.analysis.analyse_facts import in_window
from loadtests.harness.analysis.stats import percentile
from loadtests.harness.commands.bench_table import SERVICES, cpu_per_upload
from loadtests.harness.planning.own_parts import (
    OwnParts,
    PartsTrial,
    load_own_parts,
    parts_plan,
    parts_trials,
)
from loadtests.harness.planning.strategies import load_strategies
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.model import Plan, Severity, Trial
from loadtests.harness.running.manifest import make_manifest
from loadtests.harness.running.progress import Progress, minutes
from loadtests.harness.running.rig import Rig, open_rig
from loadtests.harness.running.session import interruptible, only_one, results_folder, run_id
from loadtests.harness.running.system import System, find_system
from loadtests.harness.running.trial import run_trial

INTERRUPTED = 130
RESULT = "own-parts.json"
Measured = Sequence[tuple[str, Trial]]  # arm and trial, in the order run


@dataclass(frozen=True, slots=True)
class PartsRow:
    """One arm with one strategy. The ratio is to the first arm, each round with its own: median of rounds."""

    strategy: str
    arm: str
    rounds: int
    cpu_ms: float | None  # of services and databases, per upload
    cpu_ratio: float | None
    p99_ms: float | None
    uploads_per_s: float | None


def bench_parts(environ: Mapping[str, str], command: str, console: Console) -> int:
    """Run the experiment and print its table. 1 if an audit failed, 130 if interrupted, else 0."""
    system, declared = find_system(environ), load_own_parts()
    trials = parts_trials(declared)
    plan = parts_plan(run_id("own-parts", "bench"), declared, trials, load_strategies())
    console.print(f"[bold]{declared.question}[/]")
    console.print(f"{', '.join(declared.arms)}: {len(trials)} trials, about {minutes(plan.estimated_s)}.")
    writer = BundleWriter(results_folder(environ) / plan.run)
    with only_one(system.run_dir):
        done, interrupted = asyncio.run(
            measure(system, declared, plan, trials, writer=writer, command=command, console=console)
        )
    found = rows(declared, done, latencies(Bundle(writer.path), done))
    path = writer.write_json(RESULT, [asdict(row) for row in found])
    console.print(table(found))
    console.print(f"Written to {path}", markup=False, highlight=False, soft_wrap=True)
    invalid = [trial.plan.trial for _, trial in done if _is_invalid(trial)]
    if invalid:
        console.print(f"[red]Invalid trials: {', '.join(invalid)}[/]; their warnings are in trials.jsonl.")
    return INTERRUPTED if interrupted else int(bool(invalid))


def _is_invalid(trial: Trial) -> bool:
    return any(warn.severity is Severity.INVALID for warn in trial.warnings)


async def measure(
    system: System,
    declared: OwnParts,
    plan: Plan,
    trials: list[PartsTrial],
    *,
    writer: BundleWriter,
    command: str,
    console: Console,
) -> tuple[Measured, bool]:
    """All trials, and whether somebody interrupted them; the processes end with their usual settings."""
    async with open_rig(plan.run, system, load_strategies()) as rig, interruptible(rig, console):
        with Progress(console, estimated_s=plan.estimated_s) as progress:
            progress.planned(len(trials), plan.estimated_s)
            progress.phase("signing up users")
            await rig.create_identities(declared.identities)
            writer.write_plan(plan)
            manifest = await make_manifest(rig, plan, started_at=time.time(), command=command)
            writer.write_manifest(manifest)
            try:
                done = await _trials(rig, declared, trials, writer, progress)
            finally:
                progress.phase("restarting with the usual settings")
                await _restore(rig, declared)
            update = {"ended_at": time.time(), "interrupted": rig.stop.is_set()}
            writer.write_manifest(manifest.model_copy(update=update))
        await rig.cleaner.clean()
        return done, rig.stop.is_set()


async def _trials(
    rig: Rig, declared: OwnParts, trials: list[PartsTrial], writer: BundleWriter, progress: Progress
) -> Measured:
    done: list[tuple[str, Trial]] = []
    for item in trials:
        if rig.stop.is_set():
            break
        rig.arms = item.rig_arms(declared)
        progress.trial(item.plan)
        trial = await run_trial(rig, item.plan, writer, progress)
        progress.finished(trial)
        if not trial.interrupted:
            done.append((item.arm, trial))
    return done


async def _restore(rig: Rig, declared: OwnParts) -> None:
    for process in sorted(declared.processes):
        for part in rig.system.replicas(process) or [process]:
            await rig.testbed.restart(part, {})


def latencies(bundle: Bundle, done: Measured) -> dict[str, list[float]]:
    """Milliseconds from start to confirmation of every upload of the window, by trial."""
    return {
        trial.plan.trial: [
            (sample.acked_at - sample.started_at) * 1000
            for sample in bundle.uploads(trial.plan.trial)
            if in_window(trial, sample) and sample.acked_at is not None and sample.started_at is not None
        ]
        for _, trial in done
    }


def rows(declared: OwnParts, done: Measured, times_ms: Mapping[str, Sequence[float]]) -> list[PartsRow]:
    """Every arm with every strategy that was measured."""
    first = next(iter(declared.arms))
    found = []
    for strategy in declared.strategies:
        base = _by_round(done, first, strategy)
        for arm in declared.arms:
            own = _by_round(done, arm, strategy)
            if own:
                found.append(_row(strategy, arm, own, base, times_ms))
    return found


def _by_round(done: Measured, arm: str, strategy: str) -> dict[int | None, Trial]:
    return {trial.plan.block: trial for name, trial in done if (name, trial.plan.arm) == (arm, strategy)}


def _row(
    strategy: str,
    arm: str,
    own: Mapping[int | None, Trial],
    base: Mapping[int | None, Trial],
    times_ms: Mapping[str, Sequence[float]],
) -> PartsRow:
    ratios = []
    for number in own.keys() & base.keys():
        cost, reference = (cpu_per_upload([one[number]], SERVICES) for one in (own, base))
        if cost is not None and reference:
            ratios.append(cost / reference)
    cpu_s = cpu_per_upload(list(own.values()), SERVICES)
    merged = [value for trial in own.values() for value in times_ms.get(trial.plan.trial, ())]
    return PartsRow(
        strategy,
        arm,
        rounds=len(own),
        cpu_ms=None if cpu_s is None else cpu_s * 1000,
        cpu_ratio=median(ratios) if ratios else None,
        p99_ms=percentile(merged, 0.99).value,
        uploads_per_s=median([trial.goodput_per_s for trial in own.values()]),
    )


def table(found: list[PartsRow]) -> Table:
    """The rows as people read them."""
    shown = Table(title="What our own parts buy", title_justify="left")
    for title in ("strategy", "arm"):
        shown.add_column(title)
    for title in ("CPU ms/upload", "over own", "p99 ms", "uploads/s"):
        shown.add_column(title, justify="right")
    for row in found:
        numbers = (row.cpu_ms, row.cpu_ratio, row.p99_ms, row.uploads_per_s)
        shown.add_row(row.strategy, row.arm, *("" if value is None else f"{value:.2f}" for value in numbers))
    return shown
