"""Third answer: login and list beside uploads, and the uploads' own times at that same rate."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.harness.analysis.facts import Facts, in_window, times_to_ack, times_to_durable
from loadtests.harness.analysis.guards_measures import NO_UPLOADS
from loadtests.harness.analysis.guards_samples import steps_in_window
from loadtests.harness.analysis.knee import quantile_ms
from loadtests.harness.analysis.model import Beside, Cdf, Neighbours
from loadtests.harness.analysis.stats import MIN_SAMPLES
from loadtests.harness.records.model import Question, StepSample, Trial, UploadSample

CDF_POINTS = 201


def neighbours(facts: Facts) -> Neighbours | None:
    trials = facts.of(Question.NEIGHBOURS)
    if not trials:
        return None
    tried = {trial.plan.arm for trial in trials}
    arms = [arm for arm in (NO_UPLOADS, *facts.plan.strategies) if arm in tried]
    rates = [trial.plan.load.rate_per_s for trial in trials if trial.plan.load.rate_per_s]
    return Neighbours(
        rate_per_s=min(rates, default=None),
        arms=tuple(_beside(facts, arm, facts.of(Question.NEIGHBOURS, arm=arm)) for arm in arms),
    )


def _beside(facts: Facts, arm: str, trials: Sequence[Trial]) -> Beside:
    logins, lists = _seconds(facts, trials, "login"), _seconds(facts, trials, "list")
    uploads = samples_in_window(facts, trials)
    acks, durables = times_to_ack(uploads), times_to_durable(uploads)
    return Beside(
        id=f"neighbours.{arm}",
        arm=arm,
        upload_rate_per_s=trials[0].plan.load.rate_per_s,
        login_p50=quantile_ms(logins, 0.5),
        login_p95=quantile_ms(logins, 0.95),
        list_p50=quantile_ms(lists, 0.5),
        list_p95=quantile_ms(lists, 0.95),
        failed={step: _failed(facts, trials, step) for step in ("login", "list")},
        tta_p50=quantile_ms(acks, 0.5),
        tta_p95=quantile_ms(acks, 0.95),
        ttd_p50=quantile_ms(durables, 0.5),
        ttd_p95=quantile_ms(durables, 0.95),
    )


def _seconds(facts: Facts, trials: Sequence[Trial], step: str) -> list[float]:
    """Durations of successes from when they were due; failures are counted apart."""
    return [waited_s(s) for t in trials for s in steps_in_window(facts, t, step) if s.ok]


def waited_s(step: StepSample) -> float:
    due = step.started_at if step.scheduled_at is None else step.scheduled_at
    return step.started_at - due + step.duration_ms / 1000


def _failed(facts: Facts, trials: Sequence[Trial], step: str) -> int:
    return sum(not s.ok for t in trials for s in steps_in_window(facts, t, step))


def samples_in_window(facts: Facts, trials: Sequence[Trial]) -> list[UploadSample]:
    return [s for t in trials for s in facts.uploads.get(t.plan.trial, ()) if in_window(t, s)]


def cdfs(facts: Facts) -> tuple[str | None, tuple[Cdf, ...]]:
    """Distributions of both times, at one offered rate where that was measured, else at capacity."""
    for question, source in (
        (Question.NEIGHBOURS, "open arrivals at one rate below both capacities"),
        (Question.CAPACITY, "the closed loop at capacity"),
        (Question.JOURNEY, "the journey"),
    ):
        found = [cdf for arm in facts.arms(question) if (cdf := _cdf(facts, question, arm))]
        if found:
            return source, tuple(found)
    return None, ()


def _cdf(facts: Facts, question: Question, arm: str) -> Cdf | None:
    samples = samples_in_window(facts, facts.of(question, arm=arm))
    acks, durables = times_to_ack(samples), times_to_durable(samples)
    if min(len(acks), len(durables)) < MIN_SAMPLES[0.95]:
        return None
    return Cdf(arm=arm, tta_ms=_quantiles_ms(acks), ttd_ms=_quantiles_ms(durables))


def _quantiles_ms(seconds: Sequence[float]) -> tuple[float, ...]:
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return tuple(ordered[round(last * i / (CDF_POINTS - 1))] * 1000 for i in range(CDF_POINTS))
