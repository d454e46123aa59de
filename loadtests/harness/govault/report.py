"""The report of a study: terminal, Markdown and HTML say the same, from the same tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtests.harness.govault.charts import charts, colours
from loadtests.harness.govault.findings import findings_of
from loadtests.harness.govault.records import FINDINGS, Findings, Row
from loadtests.harness.govault.run import ASKS
from loadtests.harness.govault.source import NAMES, PUBLISHED, Published
from loadtests.harness.records.bundle import BundleWriter, unreadable
from loadtests.harness.report import glossary
from loadtests.harness.report.page import HTML, MARKDOWN
from loadtests.harness.report.table import Table, without_spare
from loadtests.harness.report.template import html, markdown
from loadtests.harness.wording import MISSING, milliseconds, number, percent, precise, size

ROW_NAMES = 2  # columns that say which ramp a row is
STEP_WORDS = {
    "login": "login",
    "list": "list of files",
    "session": "begin the upload",
    "chunk": "send the file",
    "put": "send the file",
    "register": "report the part",
    "complete": "complete",
}


def write_report(path: Path) -> Findings:
    """Find everything again and write ``findings.json`` and both reports. Raises ``BundleError``."""
    found, writer = findings_of(path), BundleWriter(path)
    writer.write_json(FINDINGS, found.model_dump(mode="json"))
    view = view_of(found)
    writer.write_text(HTML, html(view, "govault"))
    writer.write_text(MARKDOWN, markdown(view, "govault"))
    return found


def read_findings(path: Path) -> Findings:
    """What was found when the report was written; found now where it was not. Raises ``BundleError``."""
    file = path / FINDINGS
    if not file.exists():
        return write_report(path)
    try:
        return Findings.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise unreadable(file, error) from error


def view_of(found: Findings) -> dict[str, Any]:
    """Everything the templates show."""
    shown = charts(found)
    return {
        "asks": ASKS,
        "found": found,
        "main": main_table(found.rows),
        "claims": claims_table(found),
        "charts": shown,
        "behind": [
            table
            for table in (
                missing_table(found),
                theirs_table(found),
                funnel_table(found.rows),
                left_out(found.rows),
            )
            if table.rows
        ],
        "glossary": sorted(glossary.TERMS, key=lambda term: term.name.lower()),
        "colours": {colour.lower(): f"arm-{place}" for place, colour in enumerate(colours().values())},
    }  # fmt: skip


def markdown_block(found: Findings) -> str:
    """What was found, for a comment or a letter."""
    lines = [f"**{ASKS}**", "", found.headline, "", *(f"- {one}" for one in found.cautions), ""]
    for table in map(without_spare, (main_table(found.rows), claims_table(found))):
        lines += [f"| {' | '.join(table.columns)} |", "|" + "---|" * len(table.columns)]
        lines += [f"| {' | '.join(row)} |" for row in table.rows]
        lines.append("")
    lines += [f"- {name}: {text}" for name, text in found.facts]
    return "\n".join(lines) + "\n"


def print_findings(found: Findings, path: Path, console: Console) -> None:
    """The same on the terminal."""
    console.print()
    console.print(Text(found.headline, style="bold"))
    console.print(Text(found.about, style="dim"))
    for caution in found.cautions:
        console.print(Text(caution, style="yellow"))
    console.print()
    for table in (main_table(found.rows), missing_table(found)):
        if table.rows:
            _print_table(without_spare(table), console)
    for one in found.claims:
        console.print(Text(one.claim, style="bold"))
        console.print(Text(f"  {one.decision.value}", style="bold cyan"), end="")
        console.print(Text(f"  theirs: {one.theirs}; ours: {one.ours}"), soft_wrap=True)
        if one.why:
            console.print(Text(f"  {one.why}", style="dim"), soft_wrap=True)
    console.print()
    console.print(f"Report   {path / HTML}", markup=False, highlight=False, soft_wrap=True)


def _print_table(table: Table, console: Console) -> None:
    shown = RichTable(
        title=table.title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0)
    )
    for place, name in enumerate(table.columns):
        shown.add_column(
            name,
            justify="left" if place < table.first else "right",
            overflow="fold",
            no_wrap=place < ROW_NAMES,
        )
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    console.print(Text(table.caption, style="dim"))
    console.print()


# -- tables


def main_table(rows: Sequence[Row]) -> Table:
    """The source's columns, and beside them what a file is worth."""
    return Table(
        "levels",
        "Its table, with our numbers",
        "VU: clients at the peak of the ramp. Requests per second, median, p95 and errors are over every"
        " request, login and list included, as in the source's table; files are counted when they are"
        " verified. Lost: acknowledged and not there. No file: users without one.",
        ("VU", "way", "RPS", "median", "p95", "errors", "files/s", "verified", "lost", "no file",
         "mean VU", "rounds", "cores busy", "k6 of them", "k6's memory"),
        tuple(_main_row(row) for row in rows),
        first=2,
        spare=("mean VU", "rounds", "cores busy", "k6 of them", "k6's memory"),
    )  # fmt: skip


def _main_row(row: Row) -> tuple[str, ...]:
    cut = "" if row.whole else " *"
    return (
        f"{row.vus}{cut}", NAMES[row.method], number(row.rps), milliseconds(row.median.ms.value),
        milliseconds(row.p95.ms.value), percent(row.errors.value), precise(row.files_per_s),
        f"{row.verified:,}", f"{row.lost:,}", f"{row.users_without:,}",
        number(row.mean_vus), f"{row.rounds:,}", percent(row.busy_share),
        percent(row.cpu_share.get("k6")), size(row.k6_peak_bytes),
    )  # fmt: skip


def theirs_table(found: Findings) -> Table:
    """What the source published, beside ours of the same level."""
    ours = {(row.level, row.method): row for row in found.rows}
    return Table(
        "theirs",
        "The source's table beside ours",
        "Theirs / ours. Its files per second were recomputed from its logs. Its ramps took six minutes on one"
        " laptop; "
        + (f"ours have {percent(found.scale)} of its clients." if found.scale < 1 else "levels agree."),
        ("VU", "way", "RPS", "median", "p95", "errors", "files/s"),
        tuple(
            _beside(level, NAMES[method], cell, ours.get((level, method)))
            for (level, method), cell in PUBLISHED.items()
        ),
        first=2,
    )


def _beside(level: int, name: str, theirs: Published, ours: Row | None) -> tuple[str, ...]:
    files = MISSING if theirs.files_per_s is None else precise(theirs.files_per_s)
    own = [MISSING] * 5
    if ours is not None:
        own = [
            number(ours.rps), milliseconds(ours.median.ms.value), milliseconds(ours.p95.ms.value),
            percent(ours.errors.value), precise(ours.files_per_s),
        ]  # fmt: skip
    cells = (
        number(theirs.rps), milliseconds(theirs.median_ms), milliseconds(theirs.p95_ms),
        percent(theirs.errors), files,
    )  # fmt: skip
    return (str(level), name, *(f"{one} / {other}" for one, other in zip(cells, own, strict=True)))


def missing_table(found: Findings) -> Table:
    return Table(
        "missing",
        "What was not reached, and why",
        "Ramps that were not run or not to their end. No verdict rests on them.",
        ("VU", "way", "reason", "evidence"),
        tuple((str(one.vus), NAMES[one.method], one.reason, one.why) for one in found.missing),
        first=4,
    )


def funnel_table(rows: Sequence[Row]) -> Table:
    """Step by step: of the rounds that were begun, how many came to each step and through it."""
    return Table(
        "funnel",
        "The funnel, step by step",
        "Answers that came, and those that were 200. A round goes on after most failures, as the source's"
        " does; what the end of a ramp cut off has no answer. Last: files that are there.",
        ("VU", "way", "step", "answered", "200", "of the rounds", "median", "p95"),
        tuple(line for row in rows for line in _funnel(row)),
        first=3,
    )


def _funnel(row: Row) -> list[tuple[str, ...]]:
    head = (str(row.vus), NAMES[row.method])
    lines = [(*head, "round begun", "", f"{row.rounds:,}", percent(1.0 if row.rounds else None), "", "")]
    for one in row.steps:
        share = one.ok / row.rounds if row.rounds else None
        lines.append(
            (
                *head, STEP_WORDS[one.step], f"{one.tried:,}", f"{one.ok:,}", percent(share),
                milliseconds(one.median.ms.value), milliseconds(one.p95.ms.value),
            )
        )  # fmt: skip
    share = row.verified / row.rounds if row.rounds else None
    return [*lines, (*head, "file verified", "", f"{row.verified:,}", percent(share), "", "")]


def left_out(rows: Sequence[Row]) -> Table:
    """Iterations, files and users: three numbers that count three things."""
    return Table(
        "users",
        "Iterations, files and users",
        "Iterations are what k6 counts as complete. Other: intended uploads by what became of them in the"
        " ledger.",
        ("VU", "way", "iterations", "uploads intended", "acknowledged", "verified", "other",
         "users without a file", "failed requests"),
        tuple(
            (
                str(row.vus), NAMES[row.method], MISSING if row.iterations is None else f"{row.iterations:,}",
                f"{row.intents:,}", f"{row.acked:,}", f"{row.verified:,}",
                _counts(row.other_classes), _counts(row.without_why) or "0", _counts(row.failures) or "0",
            )
            for row in rows
        ),
        first=2,
    )  # fmt: skip


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{n:,} x {what}" for what, n in found.items())


def claims_table(found: Findings) -> Table:
    return Table(
        "claims",
        "Its sentences",
        "Restated. holds, refuted, mixed, undecided, not reached: as in docs/claims.md. Ratios are over"
        " levels, in brackets 95 % intervals.",
        ("it says", "verdict", "theirs", "ours", "why"),
        tuple((one.claim, one.decision.value, one.theirs, one.ours, one.why) for one in found.claims),
        first=5,
    )
