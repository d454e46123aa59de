"""What arms do when uploads arrive at a rate that does not wait for them, below and above what fits.

Every round is a unit. Waits count from when an upload was due, so a generator that is late hides nothing;
what was offered and not begun is counted as dropped. What a refusal costs is the processor time that served
uploads do not explain: those cost what they did at the lowest rate, where hardly any was refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.harness import cost
from loadtests.harness.comparison import busy_cores
from loadtests.harness.intervals import NOTHING, ratio_of_sums
from loadtests.harness.latency import percentile_over_periods
from loadtests.harness.periods import Period
from loadtests.harness.records.plan import Arm, Part
from loadtests.harness.records.result import Interval, Offered, Offers, evidence_id

FEWEST_REFUSED = 100  # in all, for their price
CALM = 0.02  # of uploads at the lowest rate may be refused, for these to say what a served one costs


def offers(part: Part, periods: Sequence[Period], seed: int) -> Offers | None:
    """Every arm at every rate, in the order of the part; None where nothing was played."""
    known = [arm for arm in part.arms if arm.rate_per_s and arm.of_capacity]
    if not known or not periods:
        return None
    lowest = {arm.of: arm for arm in sorted(known, key=lambda arm: -(arm.of_capacity or 0.0))}
    cells = tuple(_cell(arm, _of(periods, arm), _of(periods, lowest[arm.of]), seed) for arm in known)
    capacity = known[0].rate_per_s or 0.0
    return Offers(id="offers", capacity_per_s=capacity / (known[0].of_capacity or 1.0), cells=cells)


def _of(periods: Sequence[Period], arm: Arm) -> list[Period]:
    return [period for period in periods if period.arm == arm.name]


def _cell(arm: Arm, own: Sequence[Period], calm: Sequence[Period], seed: int) -> Offered:
    units = [(period,) for period in own]
    rate = arm.rate_per_s or 0.0
    offered = rate * sum(period.counted_s for period in own)
    refused = sum(period.refused for period in own)
    failed = sum(period.failed for period in own) - refused
    begun = refused + failed + sum(len(period.acked_s) for period in own)
    return Offered(
        id=evidence_id("offers", arm.name),
        arm=arm.of,
        share=arm.of_capacity or 0.0,
        offered_per_s=rate,
        uploads_per_s=ratio_of_sums([p.uploads for p in own], [p.counted_s for p in own]),
        refused=_share(refused, offered),
        failed=_share(failed, offered),
        dropped=_share(max(0.0, offered - begun - len(own)), offered),
        acked_p95=percentile_over_periods([period.acked_s for period in own], 0.95, seed=seed),
        cpu_s_per_upload=cost.cpu_per_upload(units, arm),
        busy_cores=busy_cores(units),
        refusal_cpu_s=_refusal(arm, own, calm, refused),
    )


def _share(count: float, offered: float) -> float | None:
    return count / offered if offered > 0 else None


def _refusal(arm: Arm, own: Sequence[Period], calm: Sequence[Period], refused: int) -> Interval:
    served = cost.cpu_of(calm, arm)
    many = sum(period.refused for period in calm) > CALM * sum(period.uploads for period in calm)
    if refused < FEWEST_REFUSED or served is None or many:
        return NOTHING
    known = [(used, period) for period in own if (used := cost.spent(period, arm).ours) is not None]
    return ratio_of_sums(
        [used - served * period.uploads for used, period in known], [period.refused for _, period in known]
    )
