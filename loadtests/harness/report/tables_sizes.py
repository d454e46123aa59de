"""Tables over file size: what each way does, and how the ways compare at each size."""

from __future__ import annotations

from loadtests.harness.records.result import Sizes
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table
from loadtests.harness.report.tables_compare import winner
from loadtests.harness.wording import cpu_ms, ratio, size, with_interval


def rates(arms: Arms, found: Sizes) -> Table:
    return Table(
        "sizes",
        "Rates by file size",
        "Large files have fewer clients.",
        ("file", "arm", "clients", "uploads/s", "MB/s", "CPU ms"),
        tuple(
            (
                size(of.file_size_bytes), arms.name(one.arm.name), str(one.arm.vus),
                with_interval(one.uploads_per_s), with_interval(one.payload_mb_per_s),
                with_interval(one.cpu_s_per_upload, cpu_ms),
            )
            for of in found.sizes
            for one in of.comparison.arms
        ),
        first=2,
    )  # fmt: skip


def ratios(arms: Arms, found: Sizes) -> Table:
    return Table(
        "size-ratios",
        "Ratios of uploads per second by file size",
        "As above, for each size by itself.",
        ("file", "arm", "over", "ratio", "verdict", "winner"),
        tuple(
            (
                size(of.file_size_bytes), arms.name(one.arm), arms.name(one.base), ratio(one.ratio),
                one.verdict.value, winner(arms, one),
            )
            for of in found.sizes
            for one in of.comparison.ratios
            if one.metric == "uploads_per_s"
        ),
        first=3,
    )  # fmt: skip
