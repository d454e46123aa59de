"""Guards that recount a trial from its samples: nothing is believed that can be counted again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from loadtests.harness.analysis.facts import Facts, times_to_ack
from loadtests.harness.analysis.guards_measures import (
    CLOSED_EXECUTOR,
    OPEN_EXECUTOR,
    uploads_expected,
    window_s,
)
from loadtests.harness.analysis.guards_trial import spaced_percent
from loadtests.harness.analysis.stats import Mean, mean_interval, trend
from loadtests.harness.records.model import Question, Severity, StepSample, Trial, UploadSample, Warn

OFFERED_LIMIT = 0.99
CLIENT_WORK_CAUTION = 0.05
CLIENT_WORK_INVALID = 0.20
TREND_LIMIT_SE = 3.0
SLIP_LIMIT = 0.05
EARLY_ACK = "G-10"
_FEWEST_FLOWS = 20


def payload_not_unique(facts: Facts) -> Iterator[Warn]:
    counts = Counter(sample.sha256 for samples in facts.uploads.values() for sample in samples)
    repeated = sum(count - 1 for count in counts.values() if count > 1)
    if repeated:
        yield Warn(
            code="payload-not-unique",
            severity=Severity.INVALID,
            message=f"{repeated} uploads sent content that another had sent before",
            metric="repeated contents",
            value=repeated,
            limit=0,
            advice="stamp every payload",
        )


def window_recounted(facts: Facts) -> Iterator[Warn]:
    for trial in filter(uploads_expected, facts.trials):
        counted = len(facts.verified_in_window(trial))
        if counted != trial.uploads_in_window:
            yield _warn(
                trial,
                "missing-samples",
                Severity.INVALID,
                f"{trial.uploads_in_window} uploads are reported for the window; its samples hold {counted}",
                metric="uploads in the window, recounted",
                value=counted,
                limit=trial.uploads_in_window,
                advice="keep the bundle whole",
            )


def neighbours_missing(facts: Facts) -> Iterator[Warn]:
    for trial in facts.of(Question.NEIGHBOURS):
        for step, offered in (
            ("login", trial.plan.load.login_rate_per_s),
            ("list", trial.plan.load.list_rate_per_s),
        ):
            if offered <= 0:
                continue
            started = len(steps_in_window(facts, trial, step))
            achieved = (started + 1) / window_s(trial) / offered
            if started == 0 or achieved < OFFERED_LIMIT:
                yield _warn(
                    trial,
                    "offered-rate-missed" if started else "missing-samples",
                    Severity.INVALID,
                    f"only {started} of {offered * window_s(trial):.0f} offered {step} requests were started",
                    metric=f"achieved over offered {step} rate",
                    value=round(achieved, 4),
                    limit=OFFERED_LIMIT,
                    advice="ask for less load",
                )


def steps_in_window(facts: Facts, trial: Trial, step: str) -> tuple[StepSample, ...]:
    return tuple(
        sample
        for sample in facts.steps.get(trial.plan.trial, ())
        if sample.step == step and trial.window_start <= sample.started_at < trial.window_end
    )


def client_work(facts: Facts) -> Iterator[Warn]:
    """Time of an iteration that is neither a request nor a declared sleep is the client's own."""
    for trial in facts.trials:
        share = client_share(facts, trial)
        if share is None or share <= CLIENT_WORK_CAUTION:
            continue
        measured = trial.plan.load.executor == CLOSED_EXECUTOR or trial.plan.question is Question.SATURATION
        invalid = share > CLIENT_WORK_INVALID and measured
        yield _warn(
            trial,
            "client-work",
            Severity.INVALID if invalid else Severity.CAUTION,
            f"{share:.0%} of an iteration is neither a request nor a declared pause: the client set the pace",
            metric="client's own share of an iteration",
            value=round(share, 4),
            limit=CLIENT_WORK_INVALID if invalid else CLIENT_WORK_CAUTION,
            advice="take work and sleeps out of the script, or declare them",
        )


def client_share(facts: Facts, trial: Trial) -> float | None:
    mean_ms = trial.k6.iteration_duration_mean_ms
    flows = times_to_ack(facts.uploads.get(trial.plan.trial, ()))
    neighbours = trial.plan.load.login_rate_per_s or trial.plan.load.list_rate_per_s
    if not mean_ms or len(flows) < _FEWEST_FLOWS or neighbours:
        return None
    steps = facts.steps.get(trial.plan.trial, ())
    beside = sum(s.duration_ms for s in steps if s.step in ("login", "list")) / len(flows)
    known_ms = float(np.mean(flows)) * 1000 + beside + trial.plan.load.think_s * 1000
    return 1 - known_ms / mean_ms


def trending(facts: Facts) -> Iterator[Warn]:
    for trial in filter(uploads_expected, facts.of(Question.CAPACITY, Question.SINGLE)):
        durable = [s.durable_at for s in facts.verified_in_window(trial) if s.durable_at is not None]
        bins = max(1, round(window_s(trial)))
        counts, _ = np.histogram(durable, bins=bins, range=(trial.window_start, trial.window_end))
        found = trend(counts.tolist())
        if found and found.standard_errors > TREND_LIMIT_SE:
            yield _warn(
                trial,
                "no-steady-state",
                Severity.CAUTION,
                f"goodput changed by {found.change:+.0%} from the first to the second half of the window",
                metric="trend in standard errors",
                value=round(min(found.standard_errors, 1e6), 2),
                limit=TREND_LIMIT_SE,
                advice="give the load a longer warm-up",
            )


def few_prepared_vus(facts: Facts) -> Iterator[Warn]:
    """An open loop needs VUs in reserve, or it becomes a closed one."""
    for trial in facts.trials:
        load = trial.plan.load
        flows = times_to_ack(facts.uploads.get(trial.plan.trial, ()))
        if load.executor != OPEN_EXECUTOR or not load.rate_per_s or not load.vus or not flows:
            continue
        needed = load.rate_per_s * float(np.quantile(flows, 0.99)) * 1.5
        if load.vus < needed:
            yield _warn(
                trial,
                "few-prepared-vus",
                Severity.CAUTION,
                f"{load.vus} VUs were prepared; {needed:.0f} would have kept the arrivals even",
                metric="prepared VUs",
                value=load.vus,
                limit=round(needed, 1),
                advice="prepare more VUs",
            )


def slip(facts: Facts) -> Iterator[Warn]:
    """An arrival that the generator begins late is its own queue, not the system's."""
    for trial in facts.trials:
        late_s, waits_s = slips(facts, trial)
        if len(late_s) < _FEWEST_FLOWS or not waits_s:
            continue
        share = float(np.quantile(late_s, 0.99)) / float(np.median(waits_s))
        if share > SLIP_LIMIT:
            yield _warn(
                trial,
                "slip",
                Severity.CAUTION,
                f"the generator began arrivals late: 99 of 100 within {share:.0%} of the median time to "
                f"acknowledgement (limit {SLIP_LIMIT:.0%}); times count from when each was due",
                metric="p99 of the arrivals' delay over p50 of the time to acknowledgement",
                value=round(share, 4),
                limit=SLIP_LIMIT,
                advice="ask for less load, or run k6 on processors of its own",
            )


def slips(facts: Facts, trial: Trial) -> tuple[list[float], list[float]]:
    """Seconds by which every arrival of the window was late, and the uploads' own times."""
    name = trial.plan.trial
    uploads = [s for s in facts.uploads.get(name, ()) if _inside(trial, s.scheduled_at)]
    steps = [s for s in facts.steps.get(name, ()) if _inside(trial, s.scheduled_at)]
    late = [s.intent_at - (s.scheduled_at or 0) for s in uploads]
    late += [s.started_at - (s.scheduled_at or 0) for s in steps]
    return late, times_to_ack(uploads)


def _inside(trial: Trial, at: float | None) -> bool:
    return at is not None and trial.window_start <= at < trial.window_end


def backlog_growing(facts: Facts) -> Iterator[Warn]:
    """Where uploads are acknowledged before they are durable, acknowledging may outrun storing."""
    for trial in filter(uploads_expected, facts.trials):
        samples = facts.uploads.get(trial.plan.trial, ())
        if not any(EARLY_ACK in sample.flags for sample in samples):
            continue
        growth = backlog_growth(trial, samples)
        if growth.low is not None and growth.low > 0:
            yield _warn(
                trial,
                "backlog-growing",
                Severity.CAUTION,
                f"uploads were acknowledged faster than they became durable: {growth.value:.1f} more each "
                "second were only promised; goodput is the rate that became durable",
                metric="acknowledged minus durable uploads per second, lower end of the interval",
                value=round(growth.low, 4),
                limit=0.0,
                advice="ask for less load, or for longer, until promises and stored files keep pace",
            )


def backlog_growth(trial: Trial, samples: Iterable[UploadSample]) -> Mean:
    """Mean change of the backlog per second of the window, with its interval."""
    seconds = max(1, round(window_s(trial)))
    span = (trial.window_start, trial.window_end)
    acked, durable = [], []
    for sample in samples:
        acked += [] if sample.acked_at is None else [sample.acked_at]
        durable += [] if sample.durable_at is None else [sample.durable_at]
    came, went = (np.histogram(times, bins=seconds, range=span)[0] for times in (acked, durable))
    return mean_interval([float(change) for change in came - went])


def _warn(
    trial: Trial,
    code: str,
    severity: Severity,
    message: str,
    *,
    metric: str,
    value: float,
    limit: float,
    advice: str,
) -> Warn:
    return Warn(
        code=code,
        severity=severity,
        message=spaced_percent(message),
        metric=metric,
        value=value,
        limit=limit,
        advice=advice,
        trial=trial.plan.trial,
    )


SampleGuard = Callable[[Facts], Iterable[Warn]]
SAMPLE_GUARDS: tuple[SampleGuard, ...] = (
    payload_not_unique,
    window_recounted,
    neighbours_missing,
    client_work,
    trending,
    few_prepared_vus,
    slip,
    backlog_growing,
)
