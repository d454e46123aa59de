"""The end of a run on the terminal: what is wrong, the sentences, one table, where to read on."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtests.harness.analysis.model import Analysis
from loadtests.harness.records.model import Severity, Warn
from loadtests.harness.reporting import report
from loadtests.harness.reporting.report_tables import headline

COLUMNS = (
    "TTA, TTD: time until half of the uploads were acknowledged, were durable. CPU ms, SQL statements and "
    "store requests: per upload, login apart."
)
_STYLES = {"invalid": "bold red", "limit": "yellow", "answer": ""}
_VALIDITY_STYLES = {"valid": "green", "valid with cautions": "yellow", "invalid": "bold red"}


def print_result(analysis: Analysis, path: Path, console: Console) -> None:
    """Print the outcome of the bundle at ``path``. Sentences come before any table."""
    console.print()
    for sentence in analysis.sentences:
        console.print(Text(sentence.text, style=_STYLES[sentence.kind]))
        console.print()
    _print_table(analysis, console)
    line = Text("Validity ")
    line.append(analysis.validity.value, style=_VALIDITY_STYLES[analysis.validity.value])
    console.print(line.append(f" · {analysis.reach.text}"), soft_wrap=True)
    for caution in cautions(analysis):
        console.print(f"         {caution}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Verdict  {analysis.verdict_line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report   {path / report.HTML}", markup=False, highlight=False, soft_wrap=True)
    if analysis.next_command and not any(s.kind == "invalid" for s in analysis.sentences):
        console.print(f"Next     {analysis.next_command}", markup=False, highlight=False, soft_wrap=True)


def cautions(analysis: Analysis) -> list[str]:
    """Why a run is "with cautions": one line for each kind, the first of it in full."""
    kinds: dict[str, list[Warn]] = {}
    for warn in analysis.warnings:
        if warn.severity is Severity.CAUTION:
            kinds.setdefault(warn.code, []).append(warn)
    lines = []
    for first, *more in kinds.values():
        where = f" ({first.trial})" if first.trial else ""
        lines.append(f"{first.message}{where}" + (f", and {len(more)} more of this kind" if more else ""))
    return lines


def _print_table(analysis: Analysis, console: Console) -> None:
    table = headline(analysis)
    if not table.rows:
        return
    shown = RichTable(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(table.columns):
        shown.add_column(name, justify="left" if index < table.first else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    console.print(COLUMNS, style="dim", highlight=False)
    console.print()
