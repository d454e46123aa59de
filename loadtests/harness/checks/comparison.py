"""The checks of what was compared: turns that disturb each other, too few clients, too little measured."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.checks.check import Answers, caution, way
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Ratio
from loadtests.harness.records.samples import Warn
from loadtests.harness.verdict import FEWEST_TO_JUDGE
from loadtests.harness.wording import UNITS, count, listed, size, unit_of

CARRY_OVER = 0.02
FEWEST_UPLOADS = 30


def carried_over(_: Facts, answers: Answers) -> Iterator[Warn]:
    for comparison in answers.comparisons:
        for one in comparison.carry_over:
            low, high = one.change.low, one.change.high
            if low is None or high is None or (low < 1 + CARRY_OVER and high > 1 - CARRY_OVER):
                continue
            change = ((one.change.value or 1) - 1) * 100
            yield caution(
                "carry-over",
                f"{one.arm} after {one.after} changed by {change:+.0f} % within its turns: "
                "what came before may still have been at work",
                metric="last over first third of the counted part, less 1",
                value=round((one.change.value or 1) - 1, 4),
                limit=CARRY_OVER,
                advice="use longer periods",
                part=comparison.part,
            )


def not_saturated(facts: Facts, answers: Answers) -> Iterator[Warn]:
    """Of all ways together: each by itself is known too coarsely in a few minutes."""
    found, vus = answers.common_knee, max(arm.vus for arm in facts.plan.arms)
    step = next((one for one in found.steps if one.vus == vus), None) if found else None
    if found is None or step is None or step.gain.value is None or step.matters is False:
        return
    gains = (step.gain.low or 0.0) > 1
    change = (step.gain.value - 1) * 100
    what = (
        f"{step.more_vus} of them brought {change:+.0f} %"
        if gains
        else f"{step.more_vus} of them may bring {found.limit * 100:g} % more or not"
    )
    yield caution(
        "not-saturated" if gains else "saturation-open",
        f"it was not shown that {step.vus} clients fill the system: {what}",
        metric="gain with more VUs",
        value=round(step.gain.value - 1, 4),
        limit=found.limit,
        advice=f"raise the VUs, for example VUS={2 * step.vus}" if gains else "measure longer",
    )


def few_uploads(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, arm, periods in facts.turns(PartKind.COMPARE, PartKind.SIZES, PartKind.FLEET):
        uploads = sum(period.touched for period in periods)
        if uploads < FEWEST_UPLOADS:
            yield caution(
                "low-samples",
                f"only {uploads} {unit_of([arm])}s were counted {way(facts, arm)}; below {FEWEST_UPLOADS} a "
                "rate is a guess",
                metric=f"{unit_of([arm])}s",
                value=uploads,
                limit=FEWEST_UPLOADS,
                advice="use a smaller file or PROFILE=full",
                part=part.name,
            )


def few_blocks(_: Facts, answers: Answers) -> Iterator[Warn]:
    """Of every file size the comparison with the most blocks counts."""
    rates: dict[str, Ratio] = {}
    for comparison in answers.comparisons:
        own = [ratio for ratio in comparison.ratios if ratio.metric == "uploads_per_s"]
        fewest = min(own, key=_units, default=None)
        for name in {size(one.arm.file_size_bytes) for one in comparison.arms}:
            if fewest is not None and (name not in rates or _units(rates[name]) < _units(fewest)):
                rates[name] = fewest
    short = {name: ratio for name, ratio in rates.items() if _units(ratio) < FEWEST_TO_JUDGE}
    if short:
        fewest = min(short.values(), key=_units)
        yield caution(
            "few-blocks",
            f"too little was measured to name a winner for files of {listed(list(short))}: "
            f"{count(_units(fewest), UNITS[fewest.unit])}, and it takes {FEWEST_TO_JUDGE}",
            metric="blocks, or makings of the stacks",
            value=_units(fewest),
            limit=FEWEST_TO_JUDGE,
            advice="measure longer",
        )


def _units(ratio: Ratio) -> int:
    return ratio.ratio.n


def not_precise(facts: Facts, answers: Answers) -> Iterator[Warn]:
    """Only the main comparison goes on until it is precise."""
    for part in facts.parts(PartKind.COMPARE):
        found = next((one for one in answers.comparisons if one.part == part.name), None)
        if found is None or found.half_width is None or found.precise:
            continue
        yield caution(
            "not-precise",
            f"the ratios are known to ±{found.half_width * 100:.0f} % only, not to "
            f"±{facts.plan.precision * 100:g} %: {count(found.blocks, 'block of turns')} were measured, and "
            f"about {found.wanted_blocks} are needed",
            metric="half-width",
            value=round(found.half_width, 4),
            limit=facts.plan.precision,
            advice="measure longer",
            part=part.name,
        )
