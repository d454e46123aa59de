"""``python -m loadtests ledger``: what became of every upload of a run, audit by audit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.harness.ledger.table import unaudited
from loadtests.harness.records.bundle import LEDGER, STRETCHES, Bundle
from loadtests.harness.records.samples import LedgerTable
from loadtests.harness.records.vocabulary import LedgerClass

EXAMPLES = 10
FAILED, INCOMPLETE = 1, 2
COUNTED = (LedgerClass.VERIFIED, LedgerClass.PENDING)
# The rare ones stand there only when they say something.
WORDS, RARE = ("audit", "stretches"), ("other", "flags")
TITLES = (*WORDS, "intents", "acks", "verified", "pending", *RARE, "hashed", "result")
# What tells two findings of one kind apart: ids, keys, counts.
_PARTICULAR = re.compile(r"\S*(?:[0-9a-f]{8}-[0-9a-f]{4}|/)\S*|\b\d+\b")


@dataclass(frozen=True, slots=True)
class Finding:
    """One offending row, and the audit that has it."""

    audit: int
    stack: str
    row: dict[str, Any]

    @property
    def kind(self) -> tuple[str, str]:
        """Class, and the reason without what is particular to one upload."""
        return str(self.row["class"]), _PARTICULAR.sub("…", str(self.row["reason"]))


def show_ledger(path: Path, console: Console) -> int:
    """Print the ledger; 1 if an audit failed, 2 if there is none of something that was played.

    Raises ``BundleError``.
    """
    bundle = Bundle(path)
    bundle.refuse_torn((LEDGER, STRETCHES))
    tables = list(bundle.ledgers())
    console.print(f"Ledger of {bundle.manifest().run}", highlight=False)
    console.print(overview(tables))
    for kind, findings in grouped(tables).items():
        show_kind(kind, findings, console)
    if open_ones := unaudited(bundle.stretches(), tables):
        text = f"Nobody audited {', '.join(open_ones)}: the run was cut off, or records of it are gone."
        console.print(text, style="red", highlight=False, soft_wrap=True)
    failed = any(table.failed for table in tables)
    return FAILED if failed else INCOMPLETE if open_ones else 0


def overview(tables: Sequence[LedgerTable]) -> Table:
    """One line for each audit."""
    rows = [cells(table) for table in tables]
    used = [
        place for place, title in enumerate(TITLES) if title not in RARE or any(line[place] for line in rows)
    ]
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for place in used:
        words = TITLES[place] in (*WORDS, *RARE)
        shown.add_column(
            TITLES[place], justify="left" if words else "right", no_wrap=TITLES[place] not in RARE
        )
    for line in rows:
        shown.add_row(*(line[place] for place in used))
    return shown


def cells(table: LedgerTable) -> list[str]:
    """One audit's line."""
    others = {name: count for name, count in table.classes.items() if count and name not in COUNTED}
    return [
        f"{table.audit} {table.stack}".strip(),
        _span(table.stretches),
        str(table.intents),
        str(table.acks),
        str(table.classes.get(LedgerClass.VERIFIED, 0)),
        str(table.classes.get(LedgerClass.PENDING, 0)),
        _counts(others),
        _counts({name: count for name, count in table.flags.items() if count}),
        str(table.hashed),
        ("[red]failed[/]" if table.failed else "passed") + (", after a kill" if table.killed else ""),
    ]


def grouped(tables: Iterable[LedgerTable]) -> dict[tuple[str, str], list[Finding]]:
    """Findings of one class with the same reason together, the most frequent first."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for table in tables:
        for row in table.offending:
            finding = Finding(table.audit, table.stack, row)
            found.setdefault(finding.kind, []).append(finding)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def show_kind(kind: tuple[str, str], findings: Sequence[Finding], console: Console) -> None:
    """How often, and the first of them."""
    name, reason = kind
    console.print(f"\n[red]{len(findings)} × {name}[/] {reason}", highlight=False, soft_wrap=True)
    for finding in findings[:EXAMPLES]:
        told = {key: value for key, value in finding.row.items() if key != "class" and value is not None}
        facts = ", ".join(f"{key} {value}" for key, value in told.items())
        console.print(f"  audit {finding.audit}: {facts}", highlight=False, markup=False, soft_wrap=True)
    if len(findings) > EXAMPLES:
        console.print(f"  and {len(findings) - EXAMPLES} more: see ledger.jsonl", highlight=False)


def _span(stretches: Sequence[str]) -> str:
    return "-".join(dict.fromkeys((*stretches[:1], *stretches[-1:])))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.items())
