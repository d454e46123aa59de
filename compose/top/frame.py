"""One frame: what was looked at, laid out to fit 80 columns and 24 lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from compose import view
from compose.top.processes import Part
from compose.top.rates import Rates, Strategy

WIDTH, ALERTS_MAX, PARTS_MAX = 80, 3, 10


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything on the screen. `own_cores` is what watching itself costs."""

    clock: str
    parts: Sequence[Part]
    rates: Rates
    own_cores: float | None
    cores: int

    def draw(self) -> Group:
        """For `rich`; at most 24 lines."""
        middle = self._strategies(), "", self._parts()
        return Group(self._head(), "", *middle, "", *self._alerts(), self._foot())

    def _head(self) -> Text:
        if not self.parts:
            return Text(f"vaultbench  {self.clock}  nothing runs; make up starts it", style="bold red")
        trial = f"trial {self.rates.trial}" if self.rates.trial else "no trial runs"
        return _line(f"vaultbench  {self.clock}  {trial}", "bold")

    def _strategies(self) -> Table | Text:
        if self.rates.missing:
            return Text(f"no uploads, latencies, errors, alerts and trial: {self.rates.missing}", "yellow")
        figures = ("per second", 11), ("p50 s", 9), ("p95 s", 9), ("failed/s", 9), ("open", 8)
        table = _table(("uploads by", 18), *figures)
        for one in self.rates.strategies:
            table.add_row(*_strategy(one))
        return table

    def _parts(self) -> Table:
        figures = ("cores", 8), ("MiB", 8), ("requests/s", 11), ("5xx/s", 8)
        table = _table(("process", 18), ("state", 14), *figures)
        ordered = sorted(self.parts, key=lambda part: (not view.lost(part.state), -(part.cpu_cores or 0.0)))
        for part in ordered[:PARTS_MAX]:
            table.add_row(*self._part(part))
        rest = ordered[PARTS_MAX:]
        if rest:
            more = sum(part.cpu_cores or 0.0 for part in rest), sum(part.memory_bytes for part in rest)
            table.add_row(f"{len(rest)} more", "", f"{more[0]:.2f}", f"{more[1] / view.MIB:.0f}", "", "")
        return table

    def _part(self, part: Part) -> tuple[str | Text, ...]:
        requests, errors = self.rates.requests.get(part.name), self.rates.errors.get(part.name, 0.0)
        state = part.state + (f" ({part.restarts}x)" if part.restarts else "")
        return (
            part.name,
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


def _strategy(one: Strategy) -> tuple[str | Text, ...]:
    failed = Text(f"{one.failed:.1f}", "bold red" if one.failed else "")
    return one.name, f"{one.uploads:.1f}", _seconds(one.p50_s), _seconds(one.p95_s), failed, str(one.open)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(*columns: tuple[str, int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, (title, width) in enumerate(columns):
        right = index > 0 and title != "state"
        table.add_column(title, justify="right" if right else "left", width=width, no_wrap=True)
    return table


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
