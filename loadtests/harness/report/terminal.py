"""What a run says on the terminal: each answer as soon as it stands, and the whole at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtests.harness.analyse import analyse
from loadtests.harness.claims import ending
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.plan import Part, Plan
from loadtests.harness.records.result import Result, Sentence
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity
from loadtests.harness.report.conditions import not_default
from loadtests.harness.report.decision import short_decision
from loadtests.harness.report.page import HTML
from loadtests.harness.report.table import Table
from loadtests.harness.report.tables import summary
from loadtests.harness.sentences import of_question
from loadtests.harness.wording import capital

WIDTH = 80  # columns at most of the table, and of text that is folded by us
_STYLES = {"invalid": "bold red", "limit": "yellow", "answer": "", "detail": "dim"}
_VALIDITY_STYLES = {"valid": "green", "valid with cautions": "yellow", "invalid": "bold red"}


def answers(console: Console) -> Callable[[Bundle, Part], None]:
    """What to call when a part has ended: prints what it answers, from the bundle as it is then.

    The last part's answer is not said: the whole follows at once, and says it.
    """

    def say(bundle: Bundle, part: Part) -> None:
        parts = bundle.plan().parts
        alike = [one.name for one in parts if one.kind is part.kind]  # the answer is of all of them
        if part.name != alike[-1] or part.name == parts[-1].name:
            return
        for sentence in of_question(analyse(bundle), part.kind):
            _say(sentence, console)

    return say


def print_result(result: Result, plan: Plan, path: Path, console: Console) -> None:
    """The outcome of the bundle at ``path``: a table, the sentences, whether to believe them, what a decision
    needs most, where to read on, what to do next."""
    console.print()
    table = summary(result)
    if table is not None:
        _print_table(table, console)
    for sentence in result.sentences:
        _say(sentence, console)
        console.print()
    _print_validity(result, console)
    _print_ending(ending(plan, result), console)
    costs = short_decision(result)
    if costs is not None:
        console.print(Text(costs.title, style="bold"))
        _print_table(costs, console, folded=True)
    console.print(f"Report   {path / HTML}", markup=False, highlight=False, soft_wrap=True)
    if result.next_command:
        console.print(f"Next     {result.next_command}", markup=False, highlight=False, soft_wrap=True)


def _print_validity(result: Result, console: Console) -> None:
    """Before any long table: who reads no further has seen it."""
    if unlike := not_default(result):
        console.print(f"Not the default: {unlike}", markup=False, highlight=False, soft_wrap=True)
    line = Text("Validity ").append(result.validity.value, style=_VALIDITY_STYLES[result.validity.value])
    console.print(line.append(f" · {result.exit_reason}"), soft_wrap=True)
    for caution in cautions(result):
        console.print(f"         {caution}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print()


def cautions(result: Result) -> list[str]:
    """Why a run is "with cautions": the first of each kind, and how many more there are."""
    kinds: dict[str, list[Warn]] = {}
    for warn in result.warnings:
        if warn.severity is Severity.CAUTION:
            kinds.setdefault(warn.code, []).append(warn)
    return [
        first.message + (f", and {len(more)} more of this kind" if more else "")
        for first, *more in kinds.values()
    ]


def _say(sentence: Sentence, console: Console) -> None:
    console.print(Text(sentence.text, style=_STYLES[sentence.kind]))


def _print_ending(lines: Sequence[tuple[str, str]], console: Console) -> None:
    """Claimed, measured, why: as in the report."""
    if not lines:
        return
    shown = RichTable(box=None, pad_edge=False, show_header=False, width=min(WIDTH, console.width))
    shown.add_column(style="dim", overflow="fold", max_width=18)
    shown.add_column(overflow="fold")
    for name, text in lines:
        shown.add_row(capital(name), Text(text))
    console.print(Text("Claimed, measured, why", style="bold"))
    console.print(shown)
    console.print()


def _print_table(table: Table, console: Console, *, folded: bool = False) -> None:
    """Intervals stand below their values, so that eighty columns suffice; ``folded`` columns of intervals
    have names that need several lines. A number by itself is never broken."""
    shown = RichTable(box=None, pad_edge=False, header_style="dim", width=min(WIDTH, console.width))
    for index, name in enumerate(table.columns):
        words = index < table.first
        wraps = words or (folded and any(" (" in row[index] for row in table.rows))
        shown.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not wraps)
    for row in table.rows:
        shown.add_row(*(cell.replace(" (", "\n(") for cell in row))
    console.print(shown)
    console.print(Text(table.caption, style="dim"), width=min(WIDTH, console.width))
    console.print()
