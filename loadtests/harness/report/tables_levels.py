"""Tables of what more clients bring: by arm, all arms together, and level by level."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.harness.records.result import CommonKnee, Knee
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.charts_answers import knee_range
from loadtests.harness.report.table import Table
from loadtests.harness.wording import milliseconds, percent, precise, ratio, with_interval


def gains(found: CommonKnee) -> Table:
    """Of all arms together, step by step; what the sentence rests on."""
    shown = {True: "yes", False: "no", None: "not shown"}
    return Table(
        "gains",
        "From one number of clients to the next",
        "Mean gain of all ways, over all rounds of each. It is shown where its whole interval is above the "
        "limit, and ruled out where it is below.",
        ("clients", "instead of", "rate with more, over that with fewer", f"gain of {percent(found.limit)}"),
        tuple((str(one.more_vus), str(one.vus), ratio(one.gain), shown[one.matters]) for one in found.steps),
        (found.id, *("" for _ in found.steps[1:])),
        first=2,
    )


def levels(arms: Arms, knees: Sequence[Knee]) -> Table:
    rows, anchors = [], []
    for knee in knees:
        for level in knee.levels:
            first = level is knee.levels[0]
            anchors.append(knee.id if first else "")
            rows.append(
                (
                    arms.name(knee.arm), str(level.vus), with_interval(level.uploads_per_s),
                    milliseconds(level.durable_p95_ms), precise(level.busy_cores),
                    knee_range(knee) if first else "",
                )
            )  # fmt: skip
    return Table(
        "levels",
        "Levels",
        "Every arm had every level once in each round. Gains until: by the arm's own turns alone.",
        ("arm", "clients", "uploads/s", "p95 durable", "busy cores", "gains until"),
        tuple(rows),
        tuple(anchors),
    )
