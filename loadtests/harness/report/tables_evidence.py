"""Tables of what lies behind the answers: the ledger, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping

from loadtests.harness.records.result import Result
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table
from loadtests.harness.wording import duration


def ledger(arms: Arms, result: Result) -> Table:
    total = result.ledger
    classes = [LedgerClass.VERIFIED.value, *(name for name in total.classes if name != LedgerClass.VERIFIED)]
    rows = [
        (_level_name(arms, arm), *(f"{counts.get(name, 0):,}" for name in classes))
        for arm, counts in total.by_arm.items()
    ]
    flags = "".join(f" {name}: {flagged:,}." for name, flagged in total.flags.items())
    if result.kills is not None:
        never_ended = sum(one.unfinished for one in result.kills.arms)
        flags += (
            f" What a planned kill took along ({LedgerClass.LOST}) is a finding and fails no audit; of these "
            f"uploads {never_ended:,} have their file all the same and never ended."
        )
    return Table(
        "ledger",
        "What became of every upload",
        f"{total.intents:,} uploads were intended and {total.acks:,} acknowledged, by {total.users:,} users, "
        f"{total.users_without_file:,} of them without a file. {total.hashed:,} objects were read back "
        f"and hashed, {total.compared:,} compared by size and ETag. The audit "
        f"{'FAILED' if total.failed else 'passed'}.{flags}",
        ("arm", *classes),
        tuple(rows),
    )


def _level_name(arms: Arms, arm: str) -> str:
    """The arm, with what its level or size adds: "Direct in parts 24 VU"."""
    return arms.name(arm) + arm.removeprefix(arms.of_question(arm))


def seconds(found: Mapping[str, float]) -> Table:
    return Table(
        "seconds",
        "Where the time went",
        "",
        ("part", "time"),
        tuple((name, duration(value)) for name, value in found.items()),
    )
