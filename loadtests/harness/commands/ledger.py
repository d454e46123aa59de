"""``python -m loadtests ledger``: the reconciliation of every trial, and every offending row."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import LedgerClass, LedgerTable

COUNTED = (LedgerClass.VERIFIED, LedgerClass.PENDING)
WORDS, RARE = (
    ("trial", "strategy"),
    ("other", "flags"),
)  # the rare ones stand there only when they say something
TITLES = (*WORDS, "intents", "acks", "verified", "pending", *RARE, "hashed", "audit")


def show_ledger(path: Path, console: Console) -> int:
    """Print the ledger; 1 if a trial failed its audit."""
    bundle = Bundle(path)
    arms = {trial.plan.trial: trial.plan.arm for trial in bundle.trials()}
    tables = list(bundle.ledgers().values())
    console.print(f"Ledger of {bundle.manifest().run}", highlight=False)
    shown = Table(box=None, pad_edge=False, header_style="dim")
    rows = [cells(table, arms.get(table.trial, "?")) for table in tables]
    used = [
        place for place, title in enumerate(TITLES) if title not in RARE or any(line[place] for line in rows)
    ]
    for place in used:
        words = TITLES[place] in (*WORDS, *RARE)
        shown.add_column(
            TITLES[place], justify="left" if words else "right", no_wrap=TITLES[place] not in RARE
        )
    for line in rows:
        shown.add_row(*(line[place] for place in used))
    console.print(shown)
    for table in tables:
        for row in table.offending:
            console.print(f"[red]{table.trial}[/] {row}", highlight=False)
    return int(any(table.failed for table in tables))


def cells(table: LedgerTable, arm: str) -> list[str]:
    """One trial's line."""
    others = {name: count for name, count in table.classes.items() if count and name not in COUNTED}
    return [
        table.trial,
        arm,
        str(table.intents),
        str(table.acks),
        str(table.classes.get(LedgerClass.VERIFIED, 0)),
        str(table.classes.get(LedgerClass.PENDING, 0)),
        _counts(others),
        _counts({name: count for name, count in table.flags.items() if count}),
        str(table.hashed),
        "[red]failed[/]" if table.failed else "passed",
    ]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.items())
