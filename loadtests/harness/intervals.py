"""Means and rates with their two-sided 95 % intervals over units that repeat each other (blocks, rounds)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from loadtests.harness.records.result import Interval

CONFIDENCE = 0.95
FEWEST_UNITS = 3  # for an interval beside a mean
NOTHING = Interval(n=0, value=None)


@cache
def t_quantile(degrees: int) -> float:
    """Student's t that a value exceeds in either direction with probability 1 - ``CONFIDENCE``."""
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees))


def ratio_of_sums(parts: Sequence[float], wholes: Sequence[float]) -> Interval:
    """Sum of ``parts`` over sum of ``wholes``, unit by unit, such as uploads over seconds.

    The ratio estimator (Cochran, Sampling Techniques, 1977, 6.4): unlike a mean of ratios it weighs each unit
    by its size, and shares of one whole (CPU by process) add up. Its variance is that of the residuals.
    """
    n, above, below = len(parts), np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    if n == 0 or below.sum() <= 0:
        return NOTHING
    value = float(above.sum() / below.sum())
    if n < FEWEST_UNITS:
        return Interval(n=n, value=value)
    residuals = above - value * below
    error = math.sqrt(float(residuals @ residuals) / (n * (n - 1))) / float(below.mean())
    half = t_quantile(n - 1) * error
    return Interval(n=n, value=value, low=value - half, high=value + half)


def of_all(some: int, every: int) -> Interval:
    """A share with its exact binomial interval (Clopper and Pearson 1934)."""
    if every == 0:
        return NOTHING
    found = stats.binomtest(some, every).proportion_ci(CONFIDENCE)
    return Interval(n=every, value=some / every, low=float(found.low), high=float(found.high))


def ends_of_quantile(values: Sequence[float] | NDArray[np.float64], q: float) -> dict[str, float | None]:
    """Both ends of the interval of order statistics around a quantile, which takes samples as independent
    (W. Conover, Practical Nonparametric Statistics, 3.2). An end that is outside the sample or infinite is
    None."""
    found: Any = stats.quantile_test(values, p=q).confidence_interval(CONFIDENCE)  # the stubs say: a float
    ends = {"low": float(found.low), "high": float(found.high)}
    return {name: end if math.isfinite(end) else None for name, end in ends.items()}


def mean_of(values: Sequence[float]) -> Interval:
    """Arithmetic mean with its t interval."""
    n = len(values)
    if n == 0:
        return NOTHING
    mean = float(np.mean(values))
    if n < FEWEST_UNITS:
        return Interval(n=n, value=mean)
    half = t_quantile(n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(n=n, value=mean, low=mean - half, high=mean + half)


def mean_ratio(logs: Sequence[float]) -> Interval:
    """Geometric mean of ratios given as logarithms, with its t interval transformed back."""
    found = mean_of(logs)
    value, low, high = (
        None if end is None else math.exp(end) for end in (found.value, found.low, found.high)
    )
    return Interval(n=found.n, value=value, low=low, high=high)


def slope_of(x: Sequence[float], y: Sequence[float]) -> Interval:
    """Of a straight line by least squares, with its t interval. Takes three points or more, at two values of
    ``x`` or more."""
    found = stats.linregress(x, y)
    half = t_quantile(len(x) - 2) * float(found.stderr)
    slope = float(found.slope)
    return Interval(n=len(x), value=slope, low=slope - half, high=slope + half)
