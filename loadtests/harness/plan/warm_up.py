"""What the warm-up yields: how many VUs load the machine, how long a turn must be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import geometric_mean, median

from loadtests.harness.records.plan import Arm, Part, PartKind
from loadtests.harness.records.samples import UploadSample

VU_LEVELS = (16, 32, 64)
DEFAULT_VUS = 16
GAIN = 0.10  # a level that gains less is not worth its VUs, nor told from noise by turns of a second
UPLOADS_PER_TURN = 6  # of one VU: fewer would make the switch a large part of the turn
# All others say themselves how many VUs they have.
SCALED = (PartKind.WARM_UP, PartKind.COMPARE, PartKind.LEVELS, PartKind.KILL)
NEIGHBOURS_SHARE = 0.6  # of the slower arm's rate: beside it, others are watched


def saturating_vus(rates: Mapping[int, Mapping[str, float]]) -> int:
    """The fewest VUs beyond which no level gains 10 % or more, over all arms (geometric mean).

    ``rates`` are uploads per second by VUs and arm. An arm that stood still at some level is no evidence.
    """
    means = {vus: _geometric(by_arm.values()) for vus, by_arm in rates.items()}
    best = max(means.values(), default=0.0)
    if best <= 0:
        return DEFAULT_VUS
    return min(vus for vus, mean in means.items() if mean * (1 + GAIN) >= best)


def _geometric(values: Iterable[float]) -> float:
    found = list(values)
    return geometric_mean(found) if found and min(found) > 0 else 0.0


def durable_s(samples: Iterable[UploadSample]) -> dict[str, list[float]]:
    """Seconds from start to durable of every verified upload, by arm, sorted."""
    found: dict[str, list[float]] = {}
    for sample in samples:
        if sample.verified and sample.started_at is not None and sample.durable_at is not None:
            found.setdefault(sample.arm, []).append(sample.durable_at - sample.started_at)
    return {arm: sorted(times) for arm, times in found.items()}


def turn_s(period_s: float, washout_s: float, times_s: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Period and washout for arms whose uploads took these times (sorted, by arm).

    A period holds ``UPLOADS_PER_TURN`` of the slowest arm's median upload; the washout its 95th percentile,
    at most half a period. Neither is shorter than planned.
    """
    known = [times for times in times_s if times]
    slowest = max((median(times) for times in known), default=0.0)
    period_s = max(period_s, UPLOADS_PER_TURN * slowest)
    late = max((times[int(0.95 * (len(times) - 1))] for times in known), default=0.0)
    return period_s, min(max(washout_s, late), period_s / 2)


def with_vus(part: Part, planned: int, found: int) -> Part:
    """The part with its VUs in the proportion that the plan gave them to ``planned``.

    Files of other sizes are limited by memory, and say themselves how many VUs they have.
    """
    if part.kind not in SCALED or planned == found:
        return part
    return part.model_copy(update={"arms": tuple(_scaled(arm, planned, found) for arm in part.arms)})


def _scaled(arm: Arm, planned: int, found: int) -> Arm:
    vus = round(arm.vus * found / planned)
    return arm.model_copy(update={"vus": vus, "name": arm.name.replace(f" {arm.vus} VU", f" {vus} VU")})


def with_capacity(part: Part, capacity_per_s: float) -> Part:
    """Rates that are shares of what the arms can do, as numbers."""
    arms = tuple(
        arm
        if arm.of_capacity is None
        else arm.model_copy(update={"rate_per_s": round(arm.of_capacity * capacity_per_s, 1), "vus": 0})
        for arm in part.arms
    )
    return part.model_copy(update={"arms": arms})


def with_rate(part: Part, slowest_per_s: float) -> Part:
    """Neighbours' arms with the rate that the slower arm can keep up with, where the plan gives none."""
    rate = round(NEIGHBOURS_SHARE * slowest_per_s, 1)
    if part.kind is not PartKind.NEIGHBOURS or rate <= 0:
        return part
    arms = tuple(
        arm.model_copy(update={"rate_per_s": rate, "vus": 0})
        if arm.strategy is not None and arm.rate_per_s is None
        else arm
        for arm in part.arms
    )
    return part.model_copy(update={"arms": arms})
