"""Two arms and the ratio between them, turned as a sentence needs it."""

from __future__ import annotations

from loadtests.harness.records.result import Interval, Ratio, Verdict
from loadtests.harness.wording import turned


def pair_of(one: Ratio) -> tuple[str, str]:
    return one.base, one.arm


def over_of(one: Ratio, arm: str) -> Interval:
    """The ratio with this arm on top."""
    return one.ratio if one.arm == arm else turned(one.ratio)


def other_of(one: Ratio, arm: str) -> str:
    return one.base if one.arm == arm else one.arm


def more_first(one: Ratio) -> tuple[str, str, Interval]:
    """Two arms, and the first over the second: the one with more comes first where it is shown to have it."""
    if one.verdict is Verdict.LESS:
        return one.base, one.arm, turned(one.ratio)
    return one.arm, one.base, one.ratio
