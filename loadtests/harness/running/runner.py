"""A whole run: stage by stage, trial by trial, everything into the bundle as it happens."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from loadtests.harness.analysis.stats import excludes_one
from loadtests.harness.planning.plan import Planner
from loadtests.harness.planning.plan_resolve import likely_upload_s, past_knee, saturating_vus
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.model import Manifest, Question, Trial, TrialPlan, Validity, Warn
from loadtests.harness.records.notes import GENERATOR
from loadtests.harness.running import calibrate
from loadtests.harness.running.manifest import make_manifest
from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Rig
from loadtests.harness.running.trial import run_trial

DEFAULT_VUS = 16  # where neither a ramp nor a person says how many


@dataclass(slots=True)
class Runner:
    """Runs the stages of one plan on one rig."""

    rig: Rig
    planner: Planner
    writer: BundleWriter
    progress: Progress
    trials: list[Trial] = field(default_factory=list)

    async def run(self, command: str) -> None:
        """All stages; an interrupt ends after the trial it met, and the bundle says so."""
        started_at = time.time()
        self.rig.arms = {arm.strategy: arm for arm in self.planner.arms}
        ramp = self.planner.draw_ramp()
        self._freeze("ramp")
        self.progress.phase("signing up users")
        await self.rig.create_identities(self.planner.profile.identities)
        plan = self.planner.plan()
        manifest = await make_manifest(self.rig, plan, started_at=started_at, command=command)
        manifest = manifest.model_copy(update={"notes": {**manifest.notes, **await self._calibrated()}})
        self.writer.write_manifest(manifest)
        whole = False
        try:
            await self._stages(ramp)
            whole = not self.rig.stop.is_set()
        finally:
            self.rig.events += await self.rig.alerts(started_at)
            self._finish(manifest, interrupted=not whole)

    async def _calibrated(self) -> dict[str, object]:
        """What the generator can do by itself, for the profiles that ask for it."""
        if not self.planner.profile.calibrate:
            return {}
        self.progress.phase("what k6 can do by itself")
        strategies = [self.rig.strategies[arm.strategy] for arm in self.planner.arms]
        return {GENERATOR: await calibrate.calibrate(self.rig, strategies, self.planner.file_size_bytes)}

    async def _stages(self, ramp: Sequence[TrialPlan]) -> None:
        await self._ramp(ramp)
        if self.rig.stop.is_set():
            return
        goodput = self._ramp_goodput()
        vus = self._saturating(goodput)
        capacity = self.planner.draw_capacity(vus, upload_s=likely_upload_s(vus, goodput))
        self._freeze("capacity", {"vus": vus})
        await self._all(capacity)
        await self._control_again()
        slower = self.slower_capacity()
        if self.rig.stop.is_set() or slower is None:
            return
        neighbours = self.planner.draw_neighbours(slower)
        self._freeze("neighbours", {"slower_capacity_per_s": slower})
        await self._all(neighbours)

    async def _control_again(self) -> None:
        """Equal arms that came out different get one second chance: once in twenty it is mere chance."""
        if self.rig.stop.is_set() or not control_failed(self.of(Question.CAPACITY)):
            return
        again = self.planner.draw_control()
        self._freeze("control pairs again")
        await self._all(again)

    def _finish(self, manifest: Manifest, *, interrupted: bool) -> None:
        self.writer.write_plan(self.planner.plan())
        self.writer.append_events(self.rig.take_events())
        update = {"ended_at": time.time(), "interrupted": interrupted}
        self.writer.write_manifest(manifest.model_copy(update=update))
        warnings: list[Warn] = [warn for trial in self.trials for warn in trial.warnings]
        self.writer.write_warnings(warnings)

    async def _all(self, plans: Sequence[TrialPlan]) -> None:
        for plan in plans:
            if self.rig.stop.is_set():
                return
            await self._one(plan)

    async def _one(self, plan: TrialPlan) -> Trial:
        self.progress.trial(plan)
        trial = await run_trial(self.rig, plan, self.writer, self.progress)
        self.trials.append(trial)
        self.progress.finished(trial)
        return trial

    async def _ramp(self, plans: Sequence[TrialPlan]) -> None:
        """Level after level; an arm past its knee, or on an overloaded machine, is left out from there."""
        goodput: dict[str, dict[int, float]] = defaultdict(dict)
        ended: dict[str, str] = {}
        dropped: list[str] = []
        for plan in plans:
            if self.rig.stop.is_set():
                return
            if plan.arm in ended:
                dropped.append(plan.trial)
                continue
            trial = await self._one(plan)
            goodput[plan.arm][plan.load.vus or 0] = trial.goodput_per_s
            if reason := ramp_end(trial, goodput[plan.arm]):
                ended[plan.arm] = reason
                self.rig.event("ramp-end", plan.trial, arm=plan.arm, reason=reason)
        self.planner.drop(dropped)

    def _ramp_goodput(self) -> dict[str, dict[int, float]]:
        """Uploads per second by arm and VUs, as far as the ramp came."""
        goodput: dict[str, dict[int, float]] = defaultdict(dict)
        for trial in self.of(Question.RAMP):
            if trial.goodput_per_s > 0:
                goodput[trial.plan.arm][trial.plan.load.vus or 0] = trial.goodput_per_s
        return goodput

    def _saturating(self, goodput: Mapping[str, Mapping[int, float]]) -> int:
        given = self.planner.given_vus()
        if given is not None:
            return given
        return saturating_vus(goodput) if goodput else DEFAULT_VUS

    def slower_capacity(self) -> float | None:
        """Uploads per second of the slower deciding arm, or nothing if one has no rate."""
        rates: dict[str, list[float]] = {arm: [] for arm in self.planner.deciding}
        for trial in self.of(Question.CAPACITY):
            rates.setdefault(trial.plan.arm, []).append(trial.goodput_per_s)
        slowest = min((fmean(found or [0.0]) for found in rates.values()), default=0.0)
        return slowest if slowest > 0 else None

    def of(self, question: Question) -> list[Trial]:
        return [trial for trial in self.trials if trial.plan.question is question and not trial.interrupted]

    def _freeze(self, stage: str, resolved: Mapping[str, float] | None = None) -> None:
        """Write the plan as far as it is drawn, and record what a stage was resolved to."""
        plan = self.planner.plan()
        self.writer.write_plan(plan)
        self.rig.event("plan", stage=stage, trials=len(plan.trials), resolved=dict(resolved or {}))
        self.progress.planned(self.planner.estimate().trials, plan.estimated_s)


def control_failed(trials: Sequence[Trial]) -> bool:
    """Whether pairs of one arm against itself came out different."""
    couples: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.plan.pair is not None:
            couples[trial.plan.pair].append(trial)
    same = [pair for pair in couples.values() if len(pair) == 2 and pair[0].plan.arm == pair[1].plan.arm]
    values = [(a.goodput_per_s, b.goodput_per_s) for a, b in same if a.goodput_per_s and b.goodput_per_s]
    return excludes_one(values)


def ramp_end(trial: Trial, goodput: Mapping[int, float]) -> str | None:
    """Why an arm's ramp ends here, if it does."""
    if past_knee(goodput):
        return "more VUs gained less than 5 % twice in a row"
    limited = [warn for warn in trial.warnings if warn.code == "generator-limited"]
    if limited and trial.validity is Validity.INVALID:
        return limited[0].message
    return None
