"""What the audit has to say about a trial beside its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from loadtests.harness.auditing.audit_settle import Settled
from loadtests.harness.auditing.ledger_records import Console
from loadtests.harness.auditing.ledger_table import FAILING_CLASSES, FAILING_FLAGS
from loadtests.harness.records.model import LedgerTable, Severity, Warn

# Beyond this, times of a database and of the client are on visibly different clocks.
CLOCK_OFFSET_LIMIT_S = 0.1


def audit_warnings(
    console: Console, table: LedgerTable, settled: Settled, offsets: Mapping[str, float]
) -> Iterator[Warn]:
    yield from _mismatch(table)
    yield from _missing(console, table.trial)
    if settled.cut:
        yield Warn(
            code="settle-cut",
            severity=Severity.CAUTION,
            message=f"{len(settled.progressing)} uploads still moved when settling was cut",
            metric="pending uploads",
            value=float(len(settled.progressing)),
            limit=0.0,
            advice="run with PROFILE=full, which waits longer",
            trial=table.trial,
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
                trial=table.trial,
            )


def _mismatch(table: LedgerTable) -> Iterator[Warn]:
    counts = {**table.classes, **table.flags}
    names = sorted({kind.value for kind in FAILING_CLASSES} | FAILING_FLAGS)
    present = [f"{name}: {counts[name]}" for name in names if counts.get(name)]
    if present:
        yield Warn(
            code="ledger-mismatch",
            severity=Severity.INVALID,
            message="what clients were told and what is stored do not agree",
            metric="uploads by class",
            value=", ".join(present),
            limit=0.0,
            advice="read the offending rows in the ledger of this trial",
            trial=table.trial,
        )


def _missing(console: Console, trial: str) -> Iterator[Warn]:
    known = Counter(intent.upload_ref for intent in console.intents)
    repeated = sum(count - 1 for count in known.values())
    unknown = sum(outcome.upload_ref not in known for outcome in console.outcomes)
    problems = {
        "lines that cannot be read": console.unreadable,
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
                advice="read the console file of this trial in the bundle's k6 folder",
                trial=trial,
            )
