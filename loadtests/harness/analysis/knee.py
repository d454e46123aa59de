"""Second answer: until when each arm gains from more clients, and what is known about its end."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.harness.analysis.capacity import BUSY, estimate_of
from loadtests.harness.analysis.facts import Facts, in_window, times_to_durable
from loadtests.harness.analysis.guards_measures import has_mean, host_busy
from loadtests.harness.analysis.model import Knee, Quantile, RampPoint
from loadtests.harness.analysis.stats import percentile
from loadtests.harness.records.model import Question, Severity, Trial

GAIN_LIMIT = 0.05
SLOW_FACTOR = 3.0
FEWEST_LEVELS = 3
TOO_FEW_LEVELS = "too few levels"


def knees(facts: Facts) -> tuple[Knee, ...]:
    return tuple(knee_of(arm, ramp_points(facts, arm)) for arm in facts.arms(Question.RAMP))


def ramp_points(facts: Facts, arm: str) -> tuple[RampPoint, ...]:
    """One point for each level, in rising order; trials of one level are merged."""
    levels: dict[int, list[Trial]] = {}
    for trial in facts.of(Question.RAMP, arm=arm):
        levels.setdefault(trial.plan.load.vus or 0, []).append(trial)
    return tuple(_point(facts, arm, vus, levels[vus]) for vus in sorted(levels))


def _point(facts: Facts, arm: str, vus: int, trials: Sequence[Trial]) -> RampPoint:
    samples = [s for t in trials for s in facts.uploads.get(t.plan.trial, ()) if in_window(t, s)]
    warns = [warn for t in trials for warn in facts.trial_warnings[t.plan.trial]]
    invalid = [warn for warn in warns if warn.severity is Severity.INVALID]
    active = [t.mean_active_vus for t in trials if t.mean_active_vus is not None]
    busy = [share for t in trials if (share := host_busy(t)) is not None]
    return RampPoint(
        arm=arm,
        level=trials[0].plan.level,
        vus=vus,
        concurrency=sum(active) / len(active) if active else None,
        goodput_per_s=estimate_of([t.goodput_per_s for t in trials if has_mean(t)]),
        p95_ms=quantile_ms(times_to_durable(samples), 0.95),
        host_busy=sum(busy) / len(busy) if busy else None,
        valid=not invalid,
        stopped_by=invalid[0].message if invalid else None,
    )


def quantile_ms(seconds: Sequence[float], q: float) -> Quantile:
    found = percentile([value * 1000 for value in seconds], q)
    return Quantile(q=q, n=found.n, minimum=found.minimum, value=found.value, low=found.low, high=found.high)


def knee_of(arm: str, points: Sequence[RampPoint]) -> Knee:
    """The knee over the valid levels; an invalid level ends the ramp and is evidence for its end."""
    curve = _valid_curve(points)
    enough = len(curve) >= FEWEST_LEVELS
    gains_until = _stops_gaining(curve) if enough else None
    slow_from = _becomes_slow(curve) if enough else None
    known = [vus for vus in (gains_until, slow_from) if vus is not None]
    knee_vus = min(known) if known else None
    at = next((p for p in curve if p.vus == (gains_until or knee_vus)), curve[-1] if curve else None)
    return Knee(
        id=f"ramp.{arm}",
        arm=arm,
        points=tuple(points),
        gains_until_vus=gains_until,
        slow_from_vus=slow_from,
        peak_goodput_per_s=max((_goodput(p) for p in curve), default=None),
        last_vus=curve[-1].vus if curve else None,
        stopped_by=_end(points, curve, gains_until, slow_from),
        host_busy_at_knee=at.host_busy if at else None,
        bottleneck="not identified",  # naming one takes a perturbation, which this experiment has not
    )


def _valid_curve(points: Sequence[RampPoint]) -> list[RampPoint]:
    return [p for p in points if p.valid and p.goodput_per_s.value is not None]


def _goodput(point: RampPoint) -> float:
    return point.goodput_per_s.value or 0.0


def _stops_gaining(curve: Sequence[RampPoint]) -> int | None:
    """The lowest level that the next gains less than 5 % over, and the one after that as well.

    The second look keeps one level that happened to measure low from ending the ramp.
    """
    for index, point in enumerate(curve[:-1]):
        later = curve[index + 1 : index + 3]
        if all(_goodput(p) < _goodput(point) * (1 + GAIN_LIMIT) for p in later):
            return point.vus
    return None


def _becomes_slow(curve: Sequence[RampPoint]) -> int | None:
    """The first level whose p95 exceeds three times that of the lowest level that has one."""
    known = [(p.vus, p.p95_ms.value) for p in curve if p.p95_ms.value is not None]
    if not known:
        return None
    base = known[0][1]
    return next((vus for vus, p95 in known if p95 > SLOW_FACTOR * base), None)


def _end(
    points: Sequence[RampPoint], curve: Sequence[RampPoint], gains_until: int | None, slow_from: int | None
) -> str:
    if len(curve) < FEWEST_LEVELS:
        return TOO_FEW_LEVELS
    if gains_until is not None:
        return "stops gaining"
    if len(curve) < len(points):
        return "load generator's end"
    if (curve[-1].host_busy or 0) >= BUSY:
        return "machine's end"
    return "latency" if slow_from is not None else "end of the levels"
