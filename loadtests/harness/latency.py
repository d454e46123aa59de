"""How long users wait: percentiles of all samples of an arm, merged and never averaged.

Below its minimum number of samples a percentile is not given. Its interval is one of order statistics, for
samples that are independent. Beside other load they are not: the samples of one period share its
disturbances, so there whole periods are drawn again and again (B. Efron and R. Tibshirani, An Introduction to
the Bootstrap, 1993, 8.5).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loadtests.harness.intervals import CONFIDENCE, ends_of_quantile
from loadtests.harness.periods import Floats, Period
from loadtests.harness.records.plan import NOBODY, Arm, Part, Stretch
from loadtests.harness.records.result import Beside, Interval, Latency, Neighbours, evidence_id
from loadtests.harness.records.samples import StepSample

FEWEST_SAMPLES = {0.5: 20, 0.9: 60, 0.95: 100, 0.99: 500}
FEWEST_PERIODS = 6  # to draw again from
DRAWS = 1000
STEPS = ("login", "list")
_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def percentile(seconds: Floats, q: float) -> Latency:
    """Percentile ``q`` (0..1) in milliseconds with its interval, which covers at least 95 %."""
    n, minimum = len(seconds), FEWEST_SAMPLES[q]
    if n < minimum:
        return Latency(q=q, samples=n, minimum=minimum, ms=Interval(n=n, value=None))
    found = seconds * 1000
    interval = Interval(n=n, value=float(np.quantile(found, q)), **ends_of_quantile(found, q))
    return Latency(q=q, samples=n, minimum=minimum, ms=interval)


def percentile_over_periods(periods: Sequence[Floats], q: float, *, seed: int) -> Latency:
    """The same of the samples of all periods, its interval from drawing periods with replacement."""
    together = merged(periods)
    n, minimum = len(together), FEWEST_SAMPLES[q]
    if n < minimum:
        return Latency(q=q, samples=n, minimum=minimum, ms=Interval(n=len(periods), value=None))
    value = float(np.quantile(together, q)) * 1000
    if len(periods) < FEWEST_PERIODS:
        return Latency(q=q, samples=n, minimum=minimum, ms=Interval(n=len(periods), value=value))
    order = np.argsort(together)
    period_of = np.repeat(np.arange(len(periods)), [len(one) for one in periods])[order]
    drawn = _drawn_quantiles(together[order], period_of, len(periods), q, np.random.default_rng(seed))
    low, high = np.quantile(drawn, _TAILS) * 1000
    interval = Interval(n=len(periods), value=value, low=float(low), high=float(high))
    return Latency(q=q, samples=n, minimum=minimum, ms=interval)


def _drawn_quantiles(
    ordered: Floats, period_of: NDArray[np.int64], periods: int, q: float, random: np.random.Generator
) -> Floats:
    """Quantile of every draw: a sample weighs as often as its period was drawn."""
    found = np.empty(DRAWS)
    for draw in range(DRAWS):
        weights = np.bincount(random.integers(periods, size=periods), minlength=periods)[period_of]
        reached = np.cumsum(weights)
        found[draw] = ordered[np.searchsorted(reached, q * reached[-1])] if reached[-1] else np.nan
    return found[np.isfinite(found)]


def merged(samples: Iterable[Floats]) -> Floats:
    return np.concatenate([*samples, np.empty(0)])


def neighbours(
    part: Part,
    stretches: Iterable[Stretch],
    periods: Sequence[Period],
    steps: Iterable[StepSample],
    seed: int,
) -> Neighbours:
    """Logins and lists beside nobody's uploads and beside those of each arm."""
    rates = [arm.rate_per_s for arm in part.arms if arm.rate_per_s]
    found = beside_uploads(part, stretches, periods, steps, seed)
    return Neighbours(
        id=evidence_id("neighbours"), rate_per_s=min(rates, default=0.0), arms=tuple(found.values())
    )


def beside_uploads(
    part: Part,
    stretches: Iterable[Stretch],
    periods: Sequence[Period],
    steps: Iterable[StepSample],
    seed: int,
) -> dict[str, Beside]:
    """By name of each arm of a part, levels of one arm apart: logins and lists in its turns."""
    found = _by_period([s for s in stretches if s.part == part.name], periods, steps)
    return {
        arm.name: _beside(arm, [p for p in periods if p.arm == arm.name], found, seed) for arm in part.arms
    }


def _beside(
    arm: Arm, periods: Sequence[Period], steps: Mapping[tuple[str, int], Sequence[StepSample]], seed: int
) -> Beside:
    own = [steps.get((period.stretch, period.index), ()) for period in periods]

    def wait(name: str, q: float) -> Latency:
        waits = [np.array([s.waited_s for s in period if s.step == name and s.ok]) for period in own]
        return percentile_over_periods(waits, q, seed=seed)

    failures = Counter(step.step for period in own for step in period if not step.ok)
    durable = [period.durable_s for period in periods]
    return Beside(
        id=evidence_id("neighbours", arm.name),
        arm=NOBODY if arm.strategy is None else arm.of,
        rate_per_s=arm.rate_per_s,
        login_p50=wait("login", 0.5),
        login_p95=wait("login", 0.95),
        list_p50=wait("list", 0.5),
        list_p95=wait("list", 0.95),
        durable_p95=None if arm.strategy is None else percentile_over_periods(durable, 0.95, seed=seed),
        failed={name: failures[name] for name in STEPS},
    )


def _by_period(
    stretches: Sequence[Stretch], periods: Sequence[Period], steps: Iterable[StepSample]
) -> dict[tuple[str, int], list[StepSample]]:
    """Requests due in the counted part of a period of the arm that they are noted for."""
    named = {stretch.stretch: stretch for stretch in stretches}
    counted = {(period.stretch, period.index): period for period in periods}
    found: dict[tuple[str, int], list[StepSample]] = defaultdict(list)
    for step in steps:
        stretch = named.get(step.stretch)
        if stretch is None:
            continue
        key = (step.stretch, int((step.due_at - stretch.t0) // stretch.period_s))
        period = counted.get(key)
        if period is not None and period.arm == step.arm and period.begin <= step.due_at < period.end:
            found[key].append(step)
    return found
