"""How soon an arm serves what is offered again, after a turn in which far more arrived than fits.

Behind the turn of an arm's highest rate comes that of its lowest. Normal is what it serves in the counted
parts of those calm turns. It is back from the first second in which it serves nine tenths of that; what the
overload left unserved counts for nobody. Every round is a unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from loadtests.harness.intervals import ends_of_quantile
from loadtests.harness.order import calm_after
from loadtests.harness.periods import Floats
from loadtests.harness.records.plan import Part, Stretch
from loadtests.harness.records.result import COURSE_S, Interval, Recovery, evidence_id
from loadtests.harness.records.samples import UploadSample

BACK = 0.9  # of the calm rate
WINDOW_S, STEP_S = 1.0, 0.1  # seconds that are looked at, and how far apart they begin
FEWEST = 6  # turns, for an interval of their median


def recoveries(
    part: Part, stretches: Sequence[Stretch], uploads: Iterable[UploadSample]
) -> tuple[Recovery, ...]:
    """One for each arm that was played so, in the part's order."""
    pairs, arms = calm_after(part), {arm.name: arm for arm in part.arms}
    own = [stretch for stretch in stretches if stretch.part == part.name]
    acked: dict[tuple[str, str], list[float]] = {}
    for one in uploads:
        if one.arm in pairs.values() and one.acked_at is not None and one.verified:
            acked.setdefault((one.stretch, one.arm), []).append(one.acked_at)
    found = []
    for busy, calm in pairs.items():
        times = [
            np.sort(np.array(acked.get((stretch.stretch, calm), []))) - begin
            for stretch, begin in _turns(own, busy, calm)
        ]
        if times:
            found.append(
                Recovery(
                    id=evidence_id("recovery", arms[calm].of),
                    arm=arms[calm].of,
                    after_share=arms[busy].of_capacity or 0.0,
                    share=arms[calm].of_capacity or 0.0,
                    turn_s=part.period_s,
                    **_over_turns(times, part.period_s, part.washout_s),
                )
            )
    return tuple(found)


def _turns(stretches: Iterable[Stretch], busy: str, calm: str) -> Iterator[tuple[Stretch, float]]:
    """Stretch and begin of every calm turn right behind a busy one that was played to its end."""
    for stretch in stretches:
        for index in range(1, len(stretch.order)):
            whole = stretch.cut_at is None or stretch.begin(index + 1) <= stretch.cut_at
            if whole and (stretch.order[index - 1], stretch.order[index]) == (busy, calm):
                yield stretch, stretch.begin(index)


def _over_turns(times: Sequence[Floats], turn_s: float, washout_s: float) -> dict[str, Any]:
    """The median over turns and how many were not back at their end. ``times`` are acknowledgements of each
    turn, sorted, in seconds since it began."""
    calm_per_s = sum(_between(one, washout_s, turn_s) for one in times) / len(times) / (turn_s - washout_s)
    back = sorted(back_after_s(one, turn_s, calm_per_s) for one in times)
    return {
        "seconds": median_of(back),
        "longest_s": back[-1] if np.isfinite(back[-1]) else None,
        "not_back": sum(not np.isfinite(one) for one in back),
        "course": tuple(
            float(np.mean([_between(one, at * COURSE_S, (at + 1) * COURSE_S) for one in times]))
            / COURSE_S
            / calm_per_s
            for at in range(int(turn_s / COURSE_S))
            if calm_per_s > 0
        ),
    }


def _between(times: Floats, begin_s: float, end_s: float) -> int:
    return int(np.searchsorted(times, end_s) - np.searchsorted(times, begin_s))


def back_after_s(times: Floats, turn_s: float, calm_per_s: float) -> float:
    """Seconds until the rate is back; infinite where it is not within the turn."""
    for step in range(round((turn_s - WINDOW_S) / STEP_S) + 1):
        begin_s = step * STEP_S
        if _between(times, begin_s, begin_s + WINDOW_S) / WINDOW_S >= BACK * calm_per_s > 0:
            return begin_s
    return float("inf")


def median_of(ordered: Sequence[float]) -> Interval:
    """The median with its interval, which for six turns is their range. What is infinite is not known."""
    n = len(ordered)
    value = float(np.median(ordered)) if np.isfinite(ordered[n // 2]) else None
    return Interval(n=n, value=value, **(ends_of_quantile(ordered, 0.5) if n >= FEWEST else {}))
