"""What the audit has to say about a piece of load beside its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.settle import Settled
from loadtests.harness.ledger.table import USER_SHORT, failing
from loadtests.harness.records.samples import LedgerTable, Warn
from loadtests.harness.records.vocabulary import Severity

# Beyond this, times of a database and of the client are on visibly different clocks.
CLOCK_OFFSET_LIMIT_S = 0.1


def remarks(
    lines: Lines, table: LedgerTable, settled: Settled, offsets: Mapping[str, float]
) -> Iterator[Warn]:
    yield from _mismatch(table)
    yield from _users(table)
    yield from _missing(lines)
    if settled.cut:
        yield Warn(
            code="settle-cut",
            severity=Severity.CAUTION,
            message=f"{len(settled.progressing)} uploads still moved when settling was cut",
            metric="pending uploads",
            value=float(len(settled.progressing)),
            limit=0.0,
            advice="run with PROFILE=full, which waits longer",
        )
    for database, offset_s in offsets.items():
        if abs(offset_s) > CLOCK_OFFSET_LIMIT_S:
            yield Warn(
                code="clock-offset",
                severity=Severity.INFO,
                message=f"the clock of {database} differs from this host's; its times were corrected",
                metric=f"{database} clock offset, s",
                value=offset_s,
                limit=CLOCK_OFFSET_LIMIT_S,
            )


def _mismatch(table: LedgerTable) -> Iterator[Warn]:
    present = failing(table.classes, table.flags, killed=table.killed)
    if present:
        yield Warn(
            code="ledger-mismatch",
            severity=Severity.INVALID,
            message="what clients were told and what is stored do not agree",
            metric="uploads by class",
            value=", ".join(f"{name}: {number}" for name, number in present.items()),
            limit=0.0,
            advice="read the offending rows: make ledger",
        )


def _users(table: LedgerTable) -> Iterator[Warn]:
    short = [row for row in table.offending if row["class"] == USER_SHORT]
    if short and not table.killed:  # else it is the part's own finding
        yield Warn(
            code="users-without-their-files",
            severity=Severity.CAUTION,
            message=f"{len(short)} users lack files that were acknowledged to them",
            metric="users",
            value=float(len(short)),
            limit=0.0,
            advice="who, and how many: make ledger",
        )


def _missing(lines: Lines) -> Iterator[Warn]:
    known = Counter(intent.upload_ref for intent in lines.intents)
    repeated = sum(count - 1 for count in known.values())
    unknown = sum(outcome.upload_ref not in known for outcome in lines.outcomes)
    problems = {
        "lines that cannot be read": lines.unreadable,
        "outcomes without intent": unknown,
        "references used twice": repeated,
    }
    for metric, count in problems.items():
        if count:
            yield Warn(
                code="missing-samples",
                severity=Severity.INVALID,
                message=f"the load generator's record is not whole: {count} {metric}",
                metric=metric,
                value=float(count),
                limit=0.0,
                advice="read the console file in the bundle's k6 folder",
            )
