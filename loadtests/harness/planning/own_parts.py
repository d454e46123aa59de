"""The file of ``make bench PARTS=1``: arms that differ in settings of the processes, not in the strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from loadtests.harness.planning.experiment import EXPERIMENTS_FOLDER, Arm, ExperimentError
from loadtests.harness.planning.strategies import Strategy
from loadtests.harness.records.model import Load, Plan, Question, TrialPlan

FILE = EXPERIMENTS_FOLDER / "own-parts.yaml"
OVERHEAD_S = 15.0  # of a trial: restarts, clean-up, audit
Environment = dict[str, dict[str, str]]  # variables by process


class OwnParts(BaseModel):
    """The experiment as declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    question: str
    seed: int
    strategies: list[str] = Field(min_length=1)
    file_size_bytes: int = Field(ge=64)
    identities: int = Field(ge=1)
    vus: int = Field(ge=1)
    rounds: int = Field(ge=1)
    warmup_s: float = Field(ge=0)
    window_s: float = Field(gt=0)
    processes: Environment = Field(min_length=1)
    arms: dict[str, dict[str, str]] = Field(min_length=2)

    @model_validator(mode="after")
    def _known_settings(self) -> OwnParts:
        known = {name for settings in self.processes.values() for name in settings}
        unknown = sorted({name for settings in self.arms.values() for name in settings} - known)
        if unknown:
            raise ValueError(f"no process has the setting {', '.join(unknown)}, which an arm changes")
        return self

    def environment(self, arm: str) -> Environment:
        """The arm's settings, whole, for every process."""
        changed = self.arms[arm]
        return {
            process: {name: changed.get(name, value) for name, value in settings.items()}
            for process, settings in self.processes.items()
        }


@dataclass(frozen=True, slots=True)
class PartsTrial:
    """A trial and the arm it measures; the plan's own ``arm`` is the strategy."""

    arm: str
    plan: TrialPlan

    def rig_arms(self, declared: OwnParts) -> Mapping[str, Arm]:
        """What the rig has to run with in this trial."""
        strategy = self.plan.arm
        return {strategy: Arm(strategy=strategy, environment=declared.environment(self.arm))}


def load_own_parts(path: Path = FILE) -> OwnParts:
    """Raises ``ExperimentError`` with every problem."""
    try:
        return OwnParts.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        lines = (
            f"{path.name}: {'.'.join(map(str, one['loc'])) or '(whole file)'}: {one['msg']}"
            for one in error.errors()
        )
        raise ExperimentError("\n".join(lines)) from error


def parts_trials(declared: OwnParts) -> list[PartsTrial]:
    """All trials in order; which arm and which strategy lead turns from round to round."""
    load = Load(
        executor="constant-vus", vus=declared.vus, warmup_s=declared.warmup_s, window_s=declared.window_s
    )
    drawn: list[PartsTrial] = []
    for number in range(declared.rounds):
        for arm in _turned(list(declared.arms), number):
            for strategy in _turned(declared.strategies, number):
                plan = TrialPlan(
                    trial=f"t{len(drawn) + 1:03d}",
                    question=Question.BENCH,
                    arm=strategy,
                    file_size_bytes=declared.file_size_bytes,
                    load=load,
                    seed=declared.seed + number,
                    level=f"{arm}, {declared.vus} VU",
                    block=number,
                )
                drawn.append(PartsTrial(arm, plan))
    return drawn


def _turned(names: list[str], number: int) -> list[str]:
    start = number % len(names)
    return [*names[start:], *names[:start]]


def parts_plan(
    run: str, declared: OwnParts, trials: list[PartsTrial], strategies: Mapping[str, Strategy]
) -> Plan:
    """The frozen plan."""
    chosen = {name: strategies[name] for name in declared.strategies}
    size_bytes = declared.file_size_bytes
    seconds = len(trials) * (declared.warmup_s + declared.window_s + OVERHEAD_S)
    return Plan(
        run=run,
        experiment="own-parts",
        profile="ci",
        seed=declared.seed,
        strategies=tuple(declared.strategies),
        file_size_bytes=size_bytes,
        scale=1.0,
        overrides={},
        trials=tuple(item.plan for item in trials),
        estimated_s=seconds,
        margin=0.10,
        requests_per_flow={name: one.requests_per_flow(size_bytes) for name, one in chosen.items()},
        strategy_titles={name: one.manifest.title for name, one in chosen.items()},
        strategy_colours={name: one.manifest.colour for name, one in chosen.items()},
    )
