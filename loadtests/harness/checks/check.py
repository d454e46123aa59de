"""A check is a function of the facts that yields warnings with their evidence; here is what checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.records.plan import Arm, PartKind
from loadtests.harness.records.result import CommonKnee, Comparison, Price
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity
from loadtests.harness.wording import arm_names, by_way

UNDISTURBED = tuple(kind for kind in PartKind if kind is not PartKind.KILL)  # parts in which nobody is killed


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found so far, as far as checks need it."""

    comparisons: tuple[Comparison, ...]
    common_knee: CommonKnee | None
    prices: tuple[Price, ...]


Check = Callable[[Facts, Answers], Iterable[Warn]]


def _warn(
    severity: Severity,
    code: str,
    message: str,
    *,
    metric: str,
    value: float | None = None,
    limit: float,
    advice: str | None,
    part: str | None = None,
) -> Warn:
    return Warn(
        code=code,
        severity=severity,
        message=message,
        metric=metric,
        value=value,
        limit=limit,
        advice=advice,
        part=part,
    )


invalid, caution = partial(_warn, Severity.INVALID), partial(_warn, Severity.CAUTION)


def title(facts: Facts, arm: str) -> str:
    """An arm of the question, or a level or size of one, in words."""
    parts = {one.name: one for part in facts.plan.parts for one in part.arms}
    of = parts[arm].of if arm in parts else arm
    return arm_names(facts.plan.arms).get(of, of) + arm.removeprefix(of)


def way(facts: Facts, arm: Arm) -> str:
    """ "direct in parts 32 MiB", "for A (FINALISE=inline)"."""
    return by_way(arm.of, {arm.of: title(facts, arm.name)})
