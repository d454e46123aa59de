"""Tables of arrivals that wait for nobody: what becomes of them, and how soon an overload is over."""

from __future__ import annotations

from loadtests.harness.records.result import Offers
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table, wait
from loadtests.harness.wording import MISSING, cpu_ms, number, percent, with_interval


def offers(arms: Arms, found: Offers) -> Table:
    return Table(
        "offers",
        "Arrivals that wait for nobody",
        "Of what is offered; waits of the acknowledged count from when each was due. Capacity is what the "
        "slowest arm did in the comparison. CPU holds what processes do anyway: few uploads bear more each.",
        ("arm", "of capacity", "offered/s", "uploads/s", "p95", "refused", "failed", "not begun", "CPU ms",
         "cores"),
        tuple(
            (
                arms.name(one.arm), percent(one.share), number(one.offered_per_s),
                with_interval(one.uploads_per_s), wait(one.acked_p95), percent(one.refused),
                percent(one.failed), percent(one.dropped), with_interval(one.cpu_s_per_upload, cpu_ms),
                with_interval(one.busy_cores),
            )
            for one in found.cells
        ),
        tuple(one.id for one in found.cells),
    )  # fmt: skip


def summary(arms: Arms, found: Offers) -> Table:
    return Table(
        "summary",
        "The arms",
        "By what is offered, of the capacity of the slowest arm. p95: of the acknowledged, from when each "
        "was due. In brackets 95 % intervals.",
        ("arm", "offered", "uploads/s", "p95", "refused"),
        tuple(
            (
                arms.name(one.arm), percent(one.share), with_interval(one.uploads_per_s), wait(one.acked_p95),
                percent(one.refused),
            )
            for one in found.cells
        ),
    )  # fmt: skip


def recoveries(arms: Arms, found: Offers) -> Table:
    return Table(
        "recovery",
        "After an overload",
        "Seconds after a turn at the highest rate until the lowest one, which comes right behind it, is "
        "served within 10 % of the calm rate: that of the counted parts of the same turns. Looked at second "
        "by second in steps of 0.1 s; the median over turns with its interval, which for six turns is their "
        "range.",
        ("arm", "after", "then", "back after, s", "longest, s", "turns", "not back at their end"),
        tuple(
            (
                arms.name(one.arm), percent(one.after_share), percent(one.share),
                with_interval(one.seconds, _tenths), _tenths(one.longest_s), str(one.seconds.n),
                str(one.not_back),
            )
            for one in found.recoveries
        ),
        tuple(one.id for one in found.recoveries),
    )  # fmt: skip


def _tenths(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds:.1f}"
