"""Everything a bundle recorded, read once and indexed; the only door between analysis and disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from loadtests.harness.analysis.guards_trial import judge_trial
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import (
    Event,
    LedgerClass,
    LedgerTable,
    Manifest,
    MonitorSample,
    Plan,
    Question,
    Severity,
    StepSample,
    Trial,
    UploadSample,
    Warn,
)
from loadtests.harness.records.notes import Target

_Sample = TypeVar("_Sample", UploadSample, StepSample)


@dataclass(frozen=True)
class Facts:
    manifest: Manifest
    plan: Plan
    trials: tuple[Trial, ...]  # in the order run
    ledgers: dict[str, LedgerTable]
    uploads: dict[str, tuple[UploadSample, ...]]
    steps: dict[str, tuple[StepSample, ...]]
    monitor: tuple[MonitorSample, ...]
    recorded: tuple[Warn, ...]  # what the running side itself warned of
    events: tuple[Event, ...] = ()
    targets: tuple[Target, ...] = ()  # of the benchmark

    def of(self, *questions: Question, arm: str | None = None) -> tuple[Trial, ...]:
        """Trials made for the questions, those cut off by an interrupt left out."""
        return tuple(
            trial
            for trial in self.trials
            if trial.plan.question in questions
            and not trial.interrupted
            and (arm is None or trial.plan.arm == arm)
        )

    @cached_property
    def trial_warnings(self) -> dict[str, tuple[Warn, ...]]:
        """Warnings by trial: judged again from the records, then what was recorded while running."""
        return {
            trial.plan.trial: merge_warnings(
                judge_trial(trial, self.ledgers.get(trial.plan.trial)), trial.warnings
            )
            for trial in self.trials
        }

    def is_valid(self, trial: Trial) -> bool:
        return all(warn.severity is not Severity.INVALID for warn in self.trial_warnings[trial.plan.trial])

    def pairs(self, question: Question = Question.CAPACITY) -> tuple[tuple[Trial, Trial], ...]:
        """Complete pairs in the order run, base arm first (of equal arms, the earlier one)."""
        found: dict[int, list[Trial]] = defaultdict(list)
        for trial in self.of(question):
            if trial.plan.pair is not None:
                found[trial.plan.pair].append(trial)
        whole = (trials for trials in found.values() if len(trials) == 2)
        return tuple((pair[0], pair[1]) for pair in (sorted(t, key=self._arm_order) for t in whole))

    def _arm_order(self, trial: Trial) -> int:
        arms = self.plan.strategies
        return arms.index(trial.plan.arm) if trial.plan.arm in arms else len(arms)

    def arms(self, *questions: Question) -> tuple[str, ...]:
        """Strategies that were tried for the questions, in the plan's order."""
        tried = {trial.plan.arm for trial in self.of(*questions)}
        return tuple(arm for arm in self.plan.strategies if arm in tried)

    @property
    def couples(self) -> tuple[tuple[str, str], ...]:
        """(base, arm) of every paired comparison between different arms, in the order first run."""
        return tuple(
            dict.fromkeys((a.plan.arm, b.plan.arm) for a, b in self.pairs() if a.plan.arm != b.plan.arm)
        )

    def pairs_of(self, base: str, arm: str) -> tuple[tuple[Trial, Trial], ...]:
        return tuple((a, b) for a, b in self.pairs() if (a.plan.arm, b.plan.arm) == (base, arm))

    @property
    def deciding_arms(self) -> tuple[str, ...]:
        """Every arm of a comparison, the one compared against first."""
        return tuple(dict.fromkeys(arm for couple in self.couples for arm in couple))

    def verified_in_window(self, trial: Trial) -> tuple[UploadSample, ...]:
        return tuple(sample for sample in self.uploads.get(trial.plan.trial, ()) if in_window(trial, sample))

    @property
    def cores(self) -> float | None:
        return self.trials[0].host_cores if self.trials else None


def in_window(trial: Trial, sample: UploadSample) -> bool:
    """Whether a sample counts for goodput: verified, and durable inside the steady window."""
    return (
        sample.ledger is LedgerClass.VERIFIED
        and sample.durable_at is not None
        and trial.window_start <= sample.durable_at < trial.window_end
    )


def times_to_ack(samples: Iterable[UploadSample]) -> list[float]:
    """Seconds from the first request of a flow, or from when it was due, to its acknowledgement."""
    return [s.acked_at - begin for s in samples if s.acked_at is not None and (begin := begin_of(s))]


def times_to_durable(samples: Iterable[UploadSample]) -> list[float]:
    """Seconds from the first request of a flow, or from when it was due, until its file was durable."""
    return [s.durable_at - begin for s in samples if s.durable_at is not None and (begin := begin_of(s))]


def begin_of(sample: UploadSample) -> float | None:
    """From when a user waits: a generator that is late itself must not shorten the wait."""
    return sample.started_at if sample.scheduled_at is None else sample.scheduled_at


def merge_warnings(*groups: Iterable[Warn]) -> tuple[Warn, ...]:
    """Warnings without repeats; the first of equal code, trial and metric stands."""
    merged: dict[tuple[str, str | None, str | None], Warn] = {}
    for group in groups:
        for warn in group:
            merged.setdefault((warn.code, warn.trial, warn.metric), warn)
    return tuple(merged.values())


def read_facts(bundle: Bundle) -> Facts:
    return Facts(
        manifest=bundle.manifest(),
        plan=bundle.plan(),
        trials=bundle.trials(),
        ledgers=bundle.ledgers(),
        uploads=_by_trial(bundle.uploads()),
        steps=_by_trial(bundle.steps()),
        monitor=bundle.monitor(),
        recorded=bundle.warnings(),
        events=bundle.events(),
        targets=bundle.targets(),
    )


def _by_trial(samples: Sequence[_Sample]) -> dict[str, tuple[_Sample, ...]]:
    found: dict[str, list[_Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.trial].append(sample)
    return {trial: tuple(own) for trial, own in found.items()}
