"""Which arm is faster, by how much, and how many blocks it takes to say so.

Every block gives one logarithm of a ratio for each pair of arms. How many blocks a wanted half-width takes is
computed once, from the spread of the first stage (C. Stein, A two-sample test for a linear hypothesis whose
power is independent of the variance, Ann. Math. Statist. 16, 1945). The interval takes the mean of all
blocks, but the spread and the degrees of freedom of the first stage: the number of blocks then depends on
that spread alone, which is independent of the mean, so that coverage does not depend on when a run stopped.

Where two stacks were made anew again and again, the making is the unit and not the block: two stacks of equal
code differ by themselves, and blocks between the same two say nothing about that (T. Kalibera and R. Jones,
Rigorous benchmarking in reasonable time, ISMM 2013).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from scipy import special

from loadtests.harness.intervals import t_quantile
from loadtests.harness.records.result import Interval, Metric, Ratio, Verdict, evidence_id

ALPHA = 0.05
FEWEST_TO_JUDGE = 6  # blocks or makings
FEWEST_FIRST_STAGE = 2  # of which a spread can be taken at all
NAMING = 0.25  # of the margin: so far from 1 must the near end be to name a winner


@dataclass(frozen=True, slots=True)
class Rule:
    """How a run judges."""

    margin: float  # differences below it do not matter: 0.10 is ±10 %
    precision: float  # wanted half-width, as a share
    first_blocks: int  # of the first stage
    replicated: bool = False  # the making of the stacks is the unit
    pairs: tuple[tuple[str, str], ...] = ()  # (base, arm) that are compared; none: each with each
    may_name: bool = True  # no run of profile smoke and no invalid one names a winner


@dataclass(frozen=True, slots=True)
class Observed:
    """The logarithm of a ratio that one block gave."""

    instance: int
    log: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean of the units' logarithms; ``half`` and ``p`` are absent where no spread is known."""

    n: int
    mean: float
    half: float | None
    p: float | None


def units_wanted(first_stage: Sequence[float], precision: float) -> int:
    """Units in all that give the wanted half-width: ``max(n0, ceil((t s0 / log(1 + h))^2))`` (Stein 1945)."""
    n0 = len(first_stage)
    if n0 < FEWEST_FIRST_STAGE:
        return FEWEST_FIRST_STAGE
    return max(n0, math.ceil((t_quantile(n0 - 1) * deviation(first_stage) / math.log1p(precision)) ** 2))


def estimate(logs: Sequence[float], first_stage: int) -> Estimate:
    """Mean of all units with the spread of the first ``first_stage`` ones. Raises ``ValueError`` for none."""
    if not logs:
        raise ValueError("no unit, no estimate")
    n, early, mean = len(logs), logs[:first_stage], fmean(logs)
    if len(early) < FEWEST_FIRST_STAGE:
        return Estimate(n, mean, None, None)
    degrees = len(early) - 1
    error = deviation(early) / math.sqrt(n)
    return Estimate(n, mean, t_quantile(degrees) * error, _p_value(mean, error, degrees))


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of a sample. Raises ``ZeroDivisionError`` for a single value."""
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _p_value(mean: float, error: float, degrees: int) -> float:
    """Of no difference, two-sided, by Student's t."""
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2 * special.stdtr(degrees, -abs(mean / error)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given (Holm 1979: step down, kept monotone, at most 1)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def judge(ratio: Interval, margin: float, p_holm: float | None = None) -> Verdict:
    """The verdict about an interval of a ratio; ``p_holm`` above ``ALPHA`` takes a difference back."""
    low, high = ratio.low, ratio.high
    if ratio.n < FEWEST_TO_JUDGE or low is None or high is None:
        return Verdict.NOT_SHOWN
    if low > 1 or high < 1:
        if p_holm is not None and p_holm > ALPHA:
            return Verdict.NOT_SHOWN
        return Verdict.MORE if low > 1 else Verdict.LESS
    return Verdict.EQUAL if 1 - margin <= low and high <= 1 + margin else Verdict.NOT_SHOWN


def far_enough(ratio: Interval, verdict: Verdict, margin: float) -> bool:
    """Whether a winner may be named: the interval's near end is beyond 1 by a quarter of the margin."""
    least = 1 + NAMING * margin
    if ratio.low is None or ratio.high is None:
        return False
    return (verdict is Verdict.MORE and ratio.low > least) or (
        verdict is Verdict.LESS and ratio.high < 1 / least
    )


def units_of(observed: Sequence[Observed], rule: Rule) -> tuple[list[float], int]:
    """Logarithms of the units in the order run, and how many of them are the first stage."""
    early = observed[: rule.first_blocks]
    if not rule.replicated:
        return [one.log for one in observed], len(early)
    return [fmean(logs) for logs in _by_making(observed)], len(_by_making(early))


def _by_making(observed: Sequence[Observed]) -> list[list[float]]:
    found: dict[int, list[float]] = {}
    for one in observed:
        found.setdefault(one.instance, []).append(one.log)
    return list(found.values())


def blocks_wanted(observed: Sequence[Observed], rule: Rule) -> int:
    """Blocks in all for the wanted half-width; the first stage's until that is whole."""
    if len(observed) < rule.first_blocks:
        return rule.first_blocks
    logs, first = units_of(observed, rule)
    wanted = units_wanted(logs[:first], rule.precision)
    if not rule.replicated:
        return wanted
    return wanted * math.ceil(rule.first_blocks / first)


def ratios_of(
    part: str, metric: Metric, blocks: Mapping[tuple[str, str], Sequence[Observed]], rule: Rule
) -> tuple[Ratio, ...]:
    """Every pair of arms (base, arm) that was observed, judged together: Holm over all of them."""
    seen = {pair: units_of(observed, rule) for pair, observed in blocks.items() if observed}
    found = {pair: estimate(logs, first) for pair, (logs, first) in seen.items()}
    known = [pair for pair, one in found.items() if one.p is not None]
    adjusted = dict(zip(known, holm([found[pair].p or 0.0 for pair in known]), strict=True))
    ratios = []
    for (base, arm), one in found.items():
        interval, p_holm = interval_of(one), adjusted.get((base, arm))
        verdict = judge(interval, rule.margin, p_holm)
        within, between = spreads(blocks[base, arm]) if rule.replicated else (None, None)
        ratios.append(
            Ratio(
                id=evidence_id(part, metric, arm, "over", base),
                part=part,
                metric=metric,
                base=base,
                arm=arm,
                ratio=interval,
                p=one.p,
                p_holm=p_holm,
                verdict=verdict,
                winner_named=rule.may_name and far_enough(interval, verdict, rule.margin),
                unit="instance" if rule.replicated else "block",
                blocks=tuple(math.exp(log) for log in seen[base, arm][0]),
                within=within,
                between=between,
            )
        )
    return tuple(ratios)


def interval_of(found: Estimate) -> Interval:
    if found.half is None:
        return Interval(n=found.n, value=math.exp(found.mean))
    low, high = math.exp(found.mean - found.half), math.exp(found.mean + found.half)
    return Interval(n=found.n, value=math.exp(found.mean), low=low, high=high)


def spreads(observed: Sequence[Observed]) -> tuple[float | None, float | None]:
    """Standard deviations, as shares, of blocks within a making of the stacks and of makings themselves.

    One-way analysis of variance; what blocks add to the means of makings is taken off the latter.
    """
    makings = _by_making(observed)
    repeated = [logs for logs in makings if len(logs) > 1]
    if not repeated or len(makings) < FEWEST_FIRST_STAGE:
        return None, None
    degrees = sum(len(logs) - 1 for logs in repeated)
    within = sum(deviation(logs) ** 2 * (len(logs) - 1) for logs in repeated) / degrees
    means = [fmean(logs) for logs in makings]
    added = within * fmean(1 / len(logs) for logs in makings)
    between = max(0.0, deviation(means) ** 2 - added)
    return math.expm1(math.sqrt(within)), math.expm1(math.sqrt(between))


def pairs_of(arms: Sequence[str]) -> list[tuple[str, str]]:
    """(base, arm): every arm over the first, then the others among themselves."""
    return list(combinations(arms, 2))


def best_of(arms: Sequence[str], ratios: Sequence[Ratio]) -> str | None:
    """The arm of which it is shown that it does more than every other, clearly enough to be named."""
    beaten: dict[str, set[str]] = {arm: set() for arm in arms}
    for ratio in ratios:
        if ratio.metric == "uploads_per_s" and ratio.winner_named:
            more, less = (ratio.arm, ratio.base) if ratio.verdict is Verdict.MORE else (ratio.base, ratio.arm)
            beaten[more].add(less)
    others = len(arms) - 1
    return next((arm for arm, lost in beaten.items() if others and len(lost) == others), None)
