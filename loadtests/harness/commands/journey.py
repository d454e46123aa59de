"""``make journey SHAPE=load|stress|spike``: users who log in, look, pause and upload.

The shapes and pauses are GoVault's. Such a run shows curves, in Prometheus and in its bundle; its rate
is set by the pauses as long as the system keeps up, so it names no winner.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from loadtests.harness.commands.panels import record_run
from loadtests.harness.commands.stress import finish
from loadtests.harness.planning.overrides import Overrides, read_overrides
from loadtests.harness.planning.plan_estimate import SIGNUP_S
from loadtests.harness.strategies import Strategy, load_strategies
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.model import Load, Plan, Question, TrialPlan
from loadtests.harness.running.manifest import make_manifest
from loadtests.harness.running.progress import Progress, minutes
from loadtests.harness.running.rig import Rig, open_rig
from loadtests.harness.running.session import interruptible, only_one, results_folder, run_id
from loadtests.harness.running.trial import run_trial
from loadtests.harness.testbeds.system import System, find_system

THINK_S = 2.0  # one second after the login, one after the list, in every strategy
DEFAULT_SCALE = 0.1
TRIAL_OVERHEAD_S = 15.0  # the last users' way out, settling and the audit of thousands of uploads
FILE_BYTES = 1024 * 1024
# (seconds, VUs at SCALE=1) of each stage; the number of VUs changes evenly within a stage.
SHAPES: Mapping[str, tuple[tuple[float, int], ...]] = {
    "load": ((60, 200), (180, 200), (60, 0)),
    "stress": ((60, 250), (60, 500), (60, 750), (120, 1000), (60, 0)),
    "spike": ((10, 0), (20, 2000), (60, 2000), (20, 0)),
}


class UnknownShape(Exception):
    """SHAPE is none of the known ones."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What a run of one shape needs besides the system."""

    run: str
    shape: str
    scale: float
    stages: tuple[tuple[float, int], ...]
    strategies: tuple[Strategy, ...]
    overrides: Overrides

    @property
    def peak_vus(self) -> int:
        return max(1, *(target for _, target in self.stages))

    def _load(self, strategy: Strategy) -> Load:
        seed = self.overrides.sleeps == "seed"
        return Load(
            executor="ramping-vus",
            vus=self.peak_vus,
            stages=self.stages,
            think_s=0.0 if self.overrides.sleeps == "none" else THINK_S,
            complete_pause_s=strategy.manifest.seed_pause_s if seed else 0.0,
        )

    def plan(self) -> Plan:
        size = self.overrides.file_size_bytes or FILE_BYTES
        trials = tuple(
            TrialPlan(
                trial=f"t{number:03d}",
                question=Question.JOURNEY,
                arm=strategy.name,
                file_size_bytes=size,
                load=self._load(strategy),
                seed=number,
                level=f"{self.shape} to {self.peak_vus} VU",
            )
            for number, strategy in enumerate(self.strategies, start=1)
        )
        names = tuple(strategy.name for strategy in self.strategies)
        return Plan(
            run=self.run,
            experiment="journey",
            profile=self.overrides.profile,
            seed=1,
            strategies=names,
            file_size_bytes=size,
            scale=self.scale,
            overrides={**self.overrides.given, "SHAPE": self.shape},
            trials=trials,
            estimated_s=len(trials) * (sum(seconds for seconds, _ in self.stages) + TRIAL_OVERHEAD_S)
            + self.peak_vus * SIGNUP_S,
            margin=0.05,
            requests_per_flow={one.name: one.requests_per_flow(size) + 2 for one in self.strategies},
            strategy_titles={one.name: one.manifest.title for one in self.strategies},
            strategy_colours={one.name: one.manifest.colour for one in self.strategies},
        )


def make_journey(shape: str, environ: Mapping[str, str], strategies: Mapping[str, Strategy]) -> Journey:
    """A journey from its name and the overrides. Raises ``UnknownShape`` or ``OverrideError``."""
    if shape not in SHAPES:
        raise UnknownShape(f"SHAPE={shape}: expected {', '.join(SHAPES)}")
    overrides = read_overrides(environ, strategies)
    scale = overrides.scale if "SCALE" in overrides.given else DEFAULT_SCALE
    names = overrides.strategies or tuple(n for n, found in strategies.items() if found.manifest.verdict)
    return Journey(
        run=run_id("journey", shape),
        shape=shape,
        scale=scale,
        stages=tuple((seconds, round(target * scale)) for seconds, target in SHAPES[shape]),
        strategies=tuple(strategies[name] for name in names),
        overrides=overrides,
    )


def journey(shape: str, environ: Mapping[str, str], command: str, console: Console) -> int:
    """Play a shape by each strategy; returns the exit code."""
    chosen = make_journey(shape, environ, load_strategies())
    system = find_system(environ)
    plan = chosen.plan()
    writer = BundleWriter(results_folder(environ) / chosen.run)
    length = minutes(plan.estimated_s)
    console.print(f"Journey {shape}, up to {chosen.peak_vus} users (SCALE={chosen.scale:g}), about {length}.")
    console.print(f"Watch it in Prometheus: {system.environ.get('PROMETHEUS_URL', '')}", highlight=False)
    with only_one(system.run_dir):
        interrupted = asyncio.run(_play(plan, system, writer, command, console))
    return finish(writer.path, console, interrupted=interrupted, environ=environ)


async def _play(plan: Plan, system: System, writer: BundleWriter, command: str, console: Console) -> bool:
    users = plan.trials[0].load.vus or 1
    async with open_rig(plan.run, system, load_strategies()) as rig, interruptible(rig, console):
        with Progress(console, estimated_s=plan.estimated_s) as progress:
            progress.planned(len(plan.trials), plan.estimated_s)
            progress.phase(f"signing up {users} users")
            await rig.create_identities(users)
            await _trials(rig, plan, writer, progress, command)
        await record_run(rig, writer.path, console)
        await rig.cleaner.clean()
        return rig.stop.is_set()


async def _trials(rig: Rig, plan: Plan, writer: BundleWriter, progress: Progress, command: str) -> None:
    """All trials, and the manifest before and after them."""
    writer.write_plan(plan)
    manifest = await make_manifest(rig, plan, started_at=time.time(), command=command)
    writer.write_manifest(manifest)
    for trial_plan in plan.trials:
        if rig.stop.is_set():
            break
        progress.trial(trial_plan)
        trial = await run_trial(rig, trial_plan, writer, progress)
        progress.finished(trial)
    update = {"ended_at": time.time(), "interrupted": rig.stop.is_set()}
    writer.write_manifest(manifest.model_copy(update=update))
