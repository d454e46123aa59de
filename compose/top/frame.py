"""One frame: what was looked at, laid out for 80 columns and 24 lines; on fewer it says less."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from compose import view
from compose.top.processes import Part
from compose.top.rates import Rates, Strategy

WIDTH, HEIGHT, ALERTS_MAX = 80, 24, 3
AROUND_PARTS = 14  # lines of everything but the parts
NAME = 18
# Column titles and widths. On a narrow screen the last in SPARE go first: half a figure is a wrong one.
FIGURES = ("per second", 11), ("p50 s", 9), ("p95 s", 9), ("failed/s", 9), ("open", 8)
PROCESS = ("state", 14), ("cores", 8), ("MiB", 8), ("requests/s", 11), ("5xx/s", 8)
SPARE = "p95 s", "5xx/s", "failed/s", "MiB", "state", "p50 s", "requests/s", "open"
Row = tuple[str | Text, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything on the screen. `own_cores` is what watching itself costs."""

    clock: str
    parts: Sequence[Part]
    rates: Rates
    own_cores: float | None
    cores: int

    def draw(self, width: int = WIDTH, height: int = HEIGHT) -> Group:
        """For `rich`; not wider and, from 16 lines on, not higher than this."""
        middle = self._strategies(width), "", self._parts(width, max(1, height - AROUND_PARTS))
        return Group(self._head(), "", *middle, "", *self._alerts(), self._foot())

    def _head(self) -> Text:
        if not self.parts:
            return Text(f"vaultbench  {self.clock}  nothing runs; make up starts it", style="bold red")
        return _line(f"vaultbench  {self.clock}  {self.rates.turn or 'nothing is measured'}", "bold")

    def _strategies(self, width: int) -> Table | Text:
        if self.rates.missing:
            return Text(f"no uploads, latencies, errors, alerts and turns: {self.rates.missing}", "yellow")
        return _table("uploads by", FIGURES, map(_strategy, self.rates.strategies), width)

    def _parts(self, width: int, most: int) -> Table:
        ordered = sorted(self.parts, key=lambda part: (not view.lost(part.state), -(part.cpu_cores or 0.0)))
        rows, rest = [self._part(part) for part in ordered[:most]], ordered[most:]
        if rest:
            more = sum(part.cpu_cores or 0.0 for part in rest), sum(part.memory_bytes for part in rest)
            rows.append((f"{len(rest)} more", "", f"{more[0]:.2f}", f"{more[1] / view.MIB:.0f}", "", ""))
        return _table("process", PROCESS, rows, width)

    def _part(self, part: Part) -> Row:
        requests, errors = self.rates.requests.get(part.name), self.rates.errors.get(part.name, 0.0)
        state = part.state + (f" ({part.restarts}x)" if part.restarts else "")
        return (
            part.name + (f" x{part.count}" if part.count > 1 else ""),
            Text(state, view.colour(part.state)),
            "-" if part.cpu_cores is None else f"{part.cpu_cores:.2f}",
            f"{part.memory_bytes / view.MIB:.0f}",
            "" if requests is None else f"{requests:.1f}",
            "" if requests is None else Text(f"{errors:.1f}", "bold red" if errors else ""),
        )

    def _alerts(self) -> list[Text]:
        shown = [_line(one.line, one.style) for one in self.rates.alerts[:ALERTS_MAX]]
        more = len(self.rates.alerts) - len(shown)
        if more > 0:
            shown[-1] = _line(f"... and {more + 1} more alerts: make status", "bold red")
        return shown or [Text("" if self.rates.missing else "no alerts", "dim")]

    def _foot(self) -> Text:
        used = sum(part.cpu_cores or 0.0 for part in self.parts)
        own = "" if self.own_cores is None else f"; this view itself {self.own_cores:.3f}"
        return _line(f"all parts use {used:.2f} of {self.cores} cores{own}. Ctrl-C ends.", "dim")


def _strategy(one: Strategy) -> Row:
    failed = Text(f"{one.failed:.1f}", "bold red" if one.failed else "")
    return one.name, f"{one.uploads:.1f}", _seconds(one.p50_s), _seconds(one.p95_s), failed, str(one.open)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(title: str, columns: Sequence[tuple[str, int]], rows: Iterable[Row], width: int) -> Table:
    """As many columns as fit, each whole; the first one names the row."""
    kept = _fitting(columns, width - NAME)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, width=min(NAME, width), no_wrap=True)
    for place in kept:
        name, room = columns[place]
        table.add_column(name, justify="left" if name == "state" else "right", width=room, no_wrap=True)
    for row in rows:
        table.add_row(row[0], *(row[place + 1] for place in kept))
    return table


def _fitting(columns: Sequence[tuple[str, int]], room: int) -> list[int]:
    """Places of the columns that stay; each takes a blank beside it."""
    kept = list(range(len(columns)))
    for spare in reversed(SPARE):
        if sum(columns[place][1] + 1 for place in kept) <= room:
            break
        kept = [place for place in kept if columns[place][0] != spare]
    return kept


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
