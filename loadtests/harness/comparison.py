"""One switchback of arms: what each did, how they compare, and whether one turn disturbs the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from loadtests.harness import cost
from loadtests.harness.intervals import ratio_of_sums
from loadtests.harness.latency import merged, percentile
from loadtests.harness.periods import Block, Period, Samples, units_of, whole_blocks
from loadtests.harness.records.plan import Arm, Part, PartKind, Plan, Stretch
from loadtests.harness.records.result import (
    ArmResult,
    CarryOver,
    Comparison,
    Interval,
    Metric,
    Ratio,
    evidence_id,
)
from loadtests.harness.verdict import Observed, Rule, best_of, blocks_wanted, pairs_of, ratios_of

FEWEST_DURABLE = 5  # in one block, for a median to compare
Measure = Callable[[Sequence[Period], Arm], float | None]


def compare_so_far(plan: Plan, part: Part, stretches: Sequence[Stretch], samples: Samples) -> Comparison:
    """The part as far as it was run. ``wanted_blocks`` says how many blocks in all its precision takes."""
    own = [stretch for stretch in stretches if stretch.part == part.name]
    return compare(part, part.arms, whole_blocks(samples.periods(part, own), own), rule_of(plan, part))


def rule_of(plan: Plan, part: Part) -> Rule:
    return Rule(
        margin=plan.margin,
        precision=plan.precision,
        first_blocks=part.first_blocks,
        replicated=plan.replicated and part.kind in (PartKind.COMPARE, PartKind.SIZES),
        pairs=plan.pairs if part.kind is PartKind.COMPARE else (),
        may_name=plan.profile != "smoke",
    )


def blocks_to_run(comparison: Comparison, part: Part) -> int:
    """Blocks in all: as many as the precision takes, within the budget."""
    return min(part.most_blocks, max(part.first_blocks, comparison.wanted_blocks))


def compare(
    part: Part, arms: Sequence[Arm], blocks: Sequence[Block], rule: Rule, name: str | None = None
) -> Comparison:
    """Arms of one part; ``name`` tells several comparisons of one part apart."""
    name = name or part.name
    ratios = [ratio for metric in MEASURES for ratio in _ratios(name, metric, arms, blocks, rule)]
    rates = [ratio for ratio in ratios if ratio.metric == "uploads_per_s"]
    widths = [ratio.ratio.half_width for ratio in rates]
    known = [width for width in widths if width is not None]
    widest = max(known) if known and len(known) == len(widths) else None
    return Comparison(
        id=evidence_id(name),
        part=part.name,
        arms=tuple(arm_result(name, arm, blocks, rule) for arm in arms),
        ratios=tuple(ratios),
        best=best_of([arm.name for arm in arms], rates),
        blocks=len(blocks),
        wanted_blocks=_wanted(arms, blocks, rule),
        half_width=widest,
        precise=widest is not None and widest <= rule.precision,
        carry_over=carry_over(arms, blocks),
    )


def without_winner(comparison: Comparison) -> Comparison:
    """The same of a run that may name none."""
    ratios = (ratio.model_copy(update={"winner_named": False}) for ratio in comparison.ratios)
    return comparison.model_copy(update={"best": None, "ratios": tuple(ratios)})


def _ratios(
    name: str, metric: Metric, arms: Sequence[Arm], blocks: Sequence[Block], rule: Rule
) -> tuple[Ratio, ...]:
    named, measure = {arm.name: arm for arm in arms}, MEASURES[metric]
    pairs = rule.pairs or pairs_of(list(named))
    seen = {(base, arm): observed(blocks, named[base], named[arm], measure) for base, arm in pairs}
    # Only rates name a winner: the other metrics say what it costs.
    return ratios_of(name, metric, seen, rule if metric == "uploads_per_s" else replace(rule, may_name=False))


def observed(blocks: Sequence[Block], base: Arm, arm: Arm, measure: Measure) -> list[Observed]:
    """``arm`` over ``base`` in every block that measured both."""
    found = []
    for block in blocks:
        below, above = measure(block.of(base.name), base), measure(block.of(arm.name), arm)
        if below and above and below > 0 and above > 0:
            found.append(Observed(block.instance, math.log(above / below)))
    return found


def rate_per_s(periods: Sequence[Period], _: Arm) -> float | None:
    seconds = sum(period.counted_s for period in periods)
    return cost.uploads_in(periods) / seconds if seconds > 0 else None


def _median_durable_s(periods: Sequence[Period], _: Arm) -> float | None:
    times = merged(period.durable_s for period in periods)
    return float(np.median(times)) if len(times) >= FEWEST_DURABLE else None


MEASURES: dict[Metric, Measure] = {
    "uploads_per_s": rate_per_s,
    "cpu_s_per_upload": cost.cpu_of,
    "k6_cpu_s_per_upload": partial(cost.cpu_of, process=cost.GENERATOR),
    "uploads_per_s_without_k6": cost.rate_without_k6_per_s,
    "durable_ms": _median_durable_s,
}


def _wanted(arms: Sequence[Arm], blocks: Sequence[Block], rule: Rule) -> int:
    named = {arm.name: arm for arm in arms}
    wanted = [
        blocks_wanted(observed(blocks, named[base], named[arm], rate_per_s), rule)
        for base, arm in rule.pairs or pairs_of(list(named))
    ]
    return max(wanted, default=rule.first_blocks)


def arm_result(name: str, arm: Arm, blocks: Sequence[Block], rule: Rule) -> ArmResult:
    units = units_of(blocks, arm.name, replicated=rule.replicated)
    periods = [period for block in blocks for period in block.of(arm.name)]
    rate = rate_of(units)
    acked = merged(period.acked_s for period in periods)
    durable = merged(period.durable_s for period in periods)
    return ArmResult(
        id=evidence_id(name, arm.name),
        arm=arm,
        uploads=sum(period.touched for period in periods),
        uploads_per_s=rate,
        payload_mb_per_s=scaled(rate, arm.file_size_bytes / 1e6),
        cpu_s_per_upload=cost.cpu_per_upload(units, arm),
        cpu_s_by_process=cost.cpu_by_process(units, arm),
        acked_p50=percentile(acked, 0.5),
        acked_p95=percentile(acked, 0.95),
        durable_p50=percentile(durable, 0.5),
        durable_p95=percentile(durable, 0.95),
        failed=sum(period.failed for period in periods),
        busy_cores=busy_cores(units),
        per_period=tuple(period.uploads_per_s for period in periods),
    )


def rate_of(units: Sequence[Sequence[Period]]) -> Interval:
    """Verified uploads per second of counted time, over units."""
    seconds = [sum(period.counted_s for period in periods) for periods in units]
    return ratio_of_sums([cost.uploads_in(periods) for periods in units], seconds)


def busy_cores(units: Sequence[Sequence[Period]]) -> Interval:
    """Cores of the host that were busy, over units."""
    looked = [[p for p in periods if p.host_busy_s is not None] for periods in units]
    known = [periods for periods in looked if periods]
    return ratio_of_sums(
        [sum(p.host_busy_s or 0.0 for p in periods) for periods in known],
        [sum(p.counted_s for p in periods) for periods in known],
    )


def scaled(interval: Interval, factor: float) -> Interval:
    """In another unit: value and ends times ``factor``, which is above 0."""
    ends = {name: getattr(interval, name) for name in ("value", "low", "high")}
    return interval.model_copy(
        update={name: None if value is None else value * factor for name, value in ends.items()}
    )


def carry_over(arms: Sequence[Arm], blocks: Sequence[Block]) -> tuple[CarryOver, ...]:
    """By arm and by whose turn came before: uploads in the last over those in the first third."""
    found: dict[tuple[str, str], list[Period]] = {}
    names = {arm.name for arm in arms}
    for block in blocks:
        for period in block.periods:
            if period.arm in names and period.before is not None:
                found.setdefault((period.arm, period.before), []).append(period)
    changes = {
        pair: ratio_of_sums([p.thirds[1] for p in periods], [p.thirds[0] for p in periods])
        for pair, periods in sorted(found.items())
    }
    return tuple(
        CarryOver(arm=arm, after=after, change=change)
        for (arm, after), change in changes.items()
        if change.low is not None
    )
