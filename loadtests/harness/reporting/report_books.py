"""Tables of what became of every upload, and of which levels were reached."""

from __future__ import annotations

from loadtests.harness.analysis import words
from loadtests.harness.analysis.model import Analysis
from loadtests.harness.reporting.report_cells import QUESTIONS, Table, whole


def targets(analysis: Analysis) -> Table:
    """The benchmark's table; no other run has one."""
    return Table(
        "targets",
        "Against bare PUTs into the same store",
        "Ratios to bare presigned PUTs of the same bytes in the same run. Must: what every version has to "
        "reach; stretch: what would be better still. Lines without either are for the record.",
        ("quantity", "measured", "must", "stretch", "reached"),
        tuple(
            (t.quantity, *(_with_unit(value, t.unit) for value in (t.value, t.must, t.stretch)), t.reached)
            for t in analysis.targets
        ),
    )


def _with_unit(value: float | None, unit: str) -> str:
    return words.MISSING if value is None else f"{words.precise(value)}{unit}"


def ledger(analysis: Analysis) -> Table:
    books = analysis.ledger
    names = [name for name in books.totals if name != "verified"]
    names = ["verified", *(names or ["pending", "G-01", "G-02", "G-07"])]
    rows = [
        (row.trial, row.arm, QUESTIONS.get(row.question, row.question), row.level, f"{row.intents:,}",
        f"{row.acks:,}",
         *(f"{row.counts.get(name, 0):,}" for name in names), str(row.hashed), str(row.compared),
         "FAILED" if row.failed else "passed")
        for row in books.rows
    ]  # fmt: skip
    return Table(
        "ledger",
        "Ledger",
        "Every intended upload of every trial. Hashed: content read back and compared; compared: size and "
        "ETag only.",
        ("trial", "arm", "question", "level", "intents", "acks", *names, "hashed", "compared", "audit"),
        tuple(rows),
        4,
    )


def failures(analysis: Analysis) -> Table:
    return Table(
        "failures",
        "Failed uploads",
        "By the step that failed. Status 0: no answer came.",
        ("arm", "step", "code", "status", "uploads"),
        tuple(
            (f.arm, f.step, f.code or words.MISSING, whole(f.status), f"{f.count:,}")
            for f in analysis.failures
        ),
        3,
    )


def reach(analysis: Analysis) -> Table:
    return Table(
        "reach",
        "Reach",
        "Which planned levels were really produced, and what stopped the rest.",
        ("arm", "question", "level", "reached", "planned", "run", "valid", "stopped by"),
        tuple(
            ("nobody uploads" if level.arm == "none" else level.arm, QUESTIONS.get(level.question,
            level.question),
             level.level, "yes" if level.reached else "no", str(level.planned), str(level.attempted),
             str(level.valid), ": ".join(part for part in (level.reason, level.evidence) if part))
            for level in analysis.reach.levels
        ),
        4,
    )  # fmt: skip


def alerts(analysis: Analysis) -> Table:
    return Table(
        "alerts",
        "Alerts",
        "What the alert rules said while this ran. An alert decides nothing here: under a load test some "
        "are what is looked for.",
        ("alert", "severity", "where", "trial", "what it means", "after s", "for s"),
        tuple(
            (row.name, row.severity, row.where, row.trial or "between", row.meaning, f"{row.at_s:,.0f}",
             f"{row.firing_s:,.0f}" + (" to the end" if row.still else ""))
            for row in analysis.alerts.rows
        ),
        5,
    )  # fmt: skip
