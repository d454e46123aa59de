"""Statistics of a run: few functions, each with one published definition.

Trials are the unit of replication. Ratios are averaged on the log scale, percentiles are taken from
merged samples and never averaged, and a value below its minimum number of samples is not given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from scipy import stats as scipy_stats

CONFIDENCE = 0.95
MIN_PAIRS = 6  # to name a winner
MIN_CURVE_TRIALS = 3  # to print an interval beside a mean
MIN_UPLOADS = 30  # to print the mean of one trial
MIN_SAMPLES = {0.5: 20, 0.9: 60, 0.95: 100, 0.99: 500, 0.999: 10_000}


class VerdictKind(StrEnum):
    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    NOT_SHOWN = "~"


@dataclass(frozen=True, slots=True)
class RatioEstimate:
    """``b`` over ``a``, from paired trials; the interval is absent below two pairs."""

    n: int
    value: float | None
    low: float | None
    high: float | None
    p_t: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: VerdictKind
    within_margin: bool  # faster or slower, but by less than the margin

    def text(self, margin: float) -> str:
        """The verdict as the tables print it."""
        percent = f"{margin * 100:g} %"
        if self.kind is VerdictKind.EQUIVALENT:
            return f"equivalent within ±{percent}"
        if self.within_margin:
            return f"{self.kind.value} by less than {percent}"
        return self.kind.value


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of trials with its t interval; the interval needs three trials."""

    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile with its order-statistic interval. ``value`` is absent below ``minimum`` samples."""

    q: float
    n: int
    minimum: int
    value: float | None
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Mean:
    """Mean and two-sided 95 % t interval."""
    n = len(values)
    if n == 0:
        return Mean(0, None, None, None)
    mean = float(np.mean(values))
    if n < MIN_CURVE_TRIALS:
        return Mean(n, mean, None, None)
    half = _t_quantile(n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Mean(n, mean, mean - half, mean + half)


def ratio_of_pairs(pairs: Sequence[tuple[float, float]]) -> RatioEstimate:
    """``(a, b)`` pairs to the ratio b/a: mean of the logs, t interval, transformed back.

    Values must be positive.
    """
    logs = [math.log(b / a) for a, b in pairs]
    n = len(logs)
    if n == 0:
        return RatioEstimate(0, None, None, None, None)
    mean = float(np.mean(logs))
    if n == 1:
        return RatioEstimate(1, math.exp(mean), None, None, None)
    error = float(np.std(logs, ddof=1)) / math.sqrt(n)
    half = _t_quantile(n - 1) * error
    return RatioEstimate(
        n,
        math.exp(mean),
        math.exp(mean - half),
        math.exp(mean + half),
        _p_t(mean, error, n),
    )


def _t_quantile(degrees: int) -> float:
    return float(scipy_stats.t.ppf(0.5 + CONFIDENCE / 2, degrees))


def _p_t(mean: float, error: float, n: int) -> float:
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2 * scipy_stats.t.sf(abs(mean / error), n - 1))


def decide(estimate: RatioEstimate, margin: float) -> Verdict:
    """The verdict about b against a. ``margin`` 0.05 means that ±5 % counts as equal."""
    low, high = estimate.low, estimate.high
    if estimate.n < MIN_PAIRS or low is None or high is None:
        return Verdict(VerdictKind.NOT_SHOWN, False)
    inside = 1 - margin <= low and high <= 1 + margin
    if low > 1:
        return Verdict(VerdictKind.FASTER, inside)
    if high < 1:
        return Verdict(VerdictKind.SLOWER, inside)
    return Verdict(VerdictKind.EQUIVALENT if inside else VerdictKind.NOT_SHOWN, False)


def excludes_one(pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether pairs of equal arms came out different."""
    return decide(ratio_of_pairs(pairs), 0.0).kind in (VerdictKind.FASTER, VerdictKind.SLOWER)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given (Holm 1979: step down, kept monotone, at most 1)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def percentile(samples: Sequence[float], q: float) -> Percentile:
    """Percentile ``q`` (0..1) of merged samples, with the binomial order-statistic 95 % interval.

    The interval covers at least 95 %. An end that would lie outside the sample is absent.
    """
    n = len(samples)
    minimum = MIN_SAMPLES[q]
    if n < minimum:
        return Percentile(q, n, minimum, None, None, None)
    ordered = np.sort(np.asarray(samples, dtype=float))
    tail = (1 - CONFIDENCE) / 2
    lower = int(scipy_stats.binom.ppf(tail, n, q))  # ranks count from 1
    upper = int(scipy_stats.binom.ppf(1 - tail, n, q)) + 1
    return Percentile(
        q,
        n,
        minimum,
        float(np.quantile(ordered, q)),
        float(ordered[lower - 1]) if lower >= 1 else None,
        float(ordered[upper - 1]) if upper <= n else None,
    )


def neighbour_ratios(trials: Sequence[tuple[str, float]]) -> list[float]:
    """Ratios, later over earlier, of neighbouring trials of the same arm, in the order run."""
    return [b / a for (arm, a), (other, b) in pairwise(trials) if arm == other and a > 0 and b > 0]


def noise_floor(ratios: Sequence[float]) -> float | None:
    """Typical difference of two equal trials: root mean square of the log ratios, as a share."""
    if not ratios:
        return None
    return math.exp(math.sqrt(float(np.mean(np.square(np.log(ratios)))))) - 1


@dataclass(frozen=True, slots=True)
class Trend:
    """First against second half of a window, in standard errors of their difference."""

    change: float  # second half over first, minus 1
    standard_errors: float


def trend(bins: Sequence[float]) -> Trend | None:
    """Trend of equal time bins; absent when there is too little to tell (fewer than 4 bins)."""
    half = len(bins) // 2
    if half < 2:
        return None
    first, second = np.asarray(bins[:half], dtype=float), np.asarray(bins[-half:], dtype=float)
    error = math.sqrt(float(first.var(ddof=1) + second.var(ddof=1)) / half)
    difference = float(second.mean() - first.mean())
    if error == 0.0:
        return None if difference == 0.0 else Trend(_change(first, second), math.inf)
    return Trend(_change(first, second), abs(difference) / error)


STEADY_BATCH = 5  # bins averaged to one value
STEADY_BINS = 300  # with far fewer, a series without any trend is cut to its end too often


def steady_from(bins: Sequence[float]) -> float | None:
    """MSER-5: the share of a series to be left out before it is steady; 0.5 means that it never is.

    White's marginal standard error rule: batches of five bins, cut where the standard error of what
    remains is smallest, looked for in the first half only. Absent for fewer bins than the rule needs.
    """
    if len(bins) < STEADY_BINS:
        return None
    batches = len(bins) // STEADY_BATCH
    means = (
        np.asarray(bins[: batches * STEADY_BATCH], dtype=float).reshape(batches, STEADY_BATCH).mean(axis=1)
    )
    errors = [float(means[cut:].var()) / (batches - cut) for cut in range(batches // 2 + 1)]
    return int(np.argmin(errors)) / batches


def _change(first: np.ndarray, second: np.ndarray) -> float:
    mean = float(first.mean())
    return float(second.mean()) / mean - 1 if mean else math.inf


def little_mismatch(in_flight: float, rate_per_s: float, mean_s: float) -> float | None:
    """Relative distance between what was in flight and rate x time (Little's law)."""
    predicted = rate_per_s * mean_s
    return None if predicted <= 0 else abs(in_flight / predicted - 1)
