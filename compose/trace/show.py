"""A journey for people: a table with a price per hop, a timeline, and one sentence; or JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose.trace.follow import Gap, Journey
from compose.trace.model import Hop, Note

ROWS_MAX = 40
BAR_CELLS, NAME_CELLS = 44, 33
COLOURS = {
    "gateway": "cyan",
    "upload": "green",
    "files": "magenta",
    "auth": "blue",
    "client": "yellow",
    "failed": "red",
}
TO_STORE = "bytes to the store"
Entry = Hop | Note | Gap


def entries(journey: Journey) -> list[Entry]:
    """Hops in their order, with notes and gaps where they happened."""
    between: list[Entry] = sorted([*journey.notes, *journey.gaps], key=_at)
    merged: list[Entry] = []
    for hop in journey.hops:
        if hop.depth == 0:
            while between and _at(between[0]) <= hop.started_ms:
                merged.append(between.pop(0))
        merged.append(hop)
    return merged + between


def _at(entry: Entry) -> float:
    return entry.at_ms if isinstance(entry, Note) else entry.started_ms


def show(console: Console, journey: Journey, *, everything: bool = False) -> None:
    """Prints it; long journeys without their middle."""
    rows = entries(journey)
    shown = rows if everything or len(rows) <= ROWS_MAX else rows[: ROWS_MAX - 10] + rows[-10:]
    console.print(_title(journey), markup=False, highlight=False, style="bold")
    console.print(_table(journey, shown))
    left_out = len(rows) - len(shown)
    if left_out:
        console.print(f"{left_out} rows in the middle are left out; ALL=1 shows them", style="dim")
    console.print()
    for line in _timeline(journey, shown):
        console.print(line, no_wrap=True)
    console.print()
    for sentence in sentences(journey):
        console.print(sentence, markup=False, highlight=False)


def _title(journey: Journey) -> str:
    return f"{_subject(journey)}; times in ms"


def _subject(journey: Journey) -> str:
    if journey.wanted in journey.uploads:
        return f"upload {journey.wanted}" + (f" ({journey.method})" if journey.method else "")
    about = f", part of upload {journey.uploads[0]}" if len(journey.uploads) == 1 else ""
    return f"request {journey.wanted}{about}"


def _table(journey: Journey, rows: list[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for title in ("start", "took"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("process", no_wrap=True)
    table.add_column("request", overflow="fold", min_width=28)
    for title in ("sql", "store"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(f"{_at(row) - journey.began_ms:.1f}", *_cells(row))
    return table


def _cells(row: Entry) -> tuple[str | Text, ...]:
    """Everything but the start."""
    if isinstance(row, Note):
        colour = "bold red" if row.level == "error" else "yellow" if row.level == "warning" else "dim"
        return "", Text(row.process, COLOURS.get(row.process, "")), Text(row.text, colour)
    took = f"{row.duration_ms:.1f}"
    if isinstance(row, Gap):
        return took, Text("client", COLOURS["client"]), f"{TO_STORE} (no log of it)"
    name = Text("  " * row.depth + row.process, style=COLOURS.get(row.process, ""))
    prices = (_price(row.statements, row.sql_ms), _price(row.store_requests, row.store_ms))
    return took, name, _what(row), *prices


def _what(hop: Hop) -> Text:
    bad = f" {hop.status or ''} {hop.error}".rstrip() if hop.failed else ""
    return Text.assemble(hop.what, (bad, "bold red"))


def _price(count: int, took_ms: float) -> str:
    return f"{count} in {took_ms:.1f}" if count else ""


def _timeline(journey: Journey, rows: list[Entry]) -> Iterator[Text]:
    began_ms = journey.began_ms
    span_ms = max(journey.ended_ms - began_ms, 0.001)
    for row in rows:
        if isinstance(row, Note):
            continue
        first = int((row.started_ms - began_ms) / span_ms * BAR_CELLS)
        last = round((row.started_ms + row.duration_ms - began_ms) / span_ms * BAR_CELLS)
        first = min(first, BAR_CELLS - 1)
        bar = " " * first + "█" * max(1, last - first)
        name = f"client {TO_STORE}" if isinstance(row, Gap) else _short(row)
        colour = "client" if isinstance(row, Gap) else "failed" if row.failed else row.process
        style = COLOURS.get(colour, "")
        yield Text.assemble(f"{name:<{NAME_CELLS}.{NAME_CELLS}} ", (f"{bar:<{BAR_CELLS}}", style))


def _short(hop: Hop) -> str:
    return "  " * hop.depth + f"{hop.process} {hop.route or 'finalising'}"


def sentences(journey: Journey) -> Iterator[str]:
    """What it came to, and what is missing."""
    hops = journey.hops
    asked = sum(hop.depth == 0 for hop in hops)
    sent_mib = sum(hop.bytes_in for hop in hops if hop.depth == 0) / (1 << 20)
    sql, store = sum(hop.statements for hop in hops), sum(hop.store_requests for hop in hops)
    yield (
        f"{_count(asked, 'request')} through the gateway with {sent_mib:.1f} MiB, "
        f"{_count(sql, 'SQL statement')}, {_count(store, 'store request')} by the services; "
        f"{journey.ended_ms - journey.began_ms:.1f} ms in all."
    )
    if journey.gaps:
        gaps_ms = sum(gap.duration_ms for gap in journey.gaps)
        yield (
            f"For {gaps_ms:.1f} ms of that the client was on its own: it sent its bytes straight to the "
            "store, which keeps no log of it."
        )
    if journey.wanted not in journey.uploads:
        yield from (f"The whole upload: make trace ID={upload}" for upload in journey.uploads[:3])
    elif not journey.whole:
        yield "The beginning is missing: its log was put away or deleted."
    if journey.more:
        yield "There are more lines than are read at once; the end is missing."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def as_json(journey: Journey) -> str:
    """All of it, for programs; times in milliseconds since the epoch."""
    facts: dict[str, Any] = dataclasses.asdict(journey)
    totals = {
        "statements": sum(hop.statements for hop in journey.hops),
        "store_requests": sum(hop.store_requests for hop in journey.hops),
        "duration_ms": round(journey.ended_ms - journey.began_ms, 3),
    }
    return json.dumps({**facts, "method": journey.method, "whole": journey.whole, **totals}, indent=1)
