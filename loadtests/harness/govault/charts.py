"""The six charts of the source's report, drawn from ours, and the one that it lacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from matplotlib.axes import Axes

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.govault.records import Findings, Row
from loadtests.harness.govault.source import METHODS, NAMES, PUBLISHED, STRATEGIES, Method, Published
from loadtests.harness.report.charts import Chart, figure, heading, only, to_svg
from loadtests.harness.wording import capital, number

Pick = Callable[[Row], float | None]
Theirs = Callable[[Published], float]


def percent_failed(row: Row) -> float | None:
    return None if row.errors.value is None else 100 * row.errors.value


def p95_s(row: Row) -> float | None:
    return None if row.p95.ms.value is None else row.p95.ms.value / 1000


# What a lower panel shows: name, heading, of a row, of the source's table.
LOWER: tuple[tuple[str, str, Pick, Theirs], ...] = (
    ("errors", "failed requests, %", percent_failed, lambda cell: 100 * cell.errors),
    ("p95", "95 of 100 requests take at most, s", p95_s, lambda cell: cell.p95_ms / 1000),
)  # fmt: skip
SIDES: tuple[tuple[str, tuple[Method, ...]], ...] = (
    ("proxy", ("proxy",)),
    ("direct", ("direct",)),
    ("both", METHODS),
)


@cache
def colours() -> Mapping[Method, str]:
    """Of our strategies: a colour means one of them, in every report."""
    known = load_strategies()
    return {method: known[STRATEGIES[method]].manifest.colour for method in METHODS}


def charts(found: Findings) -> tuple[Chart, ...]:
    """Files per second first; then requests per second against errors and p95: each method, then both."""
    if not found.rows:
        return ()
    six = [_pair(found, side, methods, lower) for side, methods in SIDES for lower in LOWER]
    return (_files(found), *six)


def _files(found: Findings) -> Chart:
    with figure(3.0) as (drawn, (axes,)):
        _lines(axes, found.rows, METHODS, lambda row: row.files_per_s)
        axes.set_ylim(0)
        heading(axes, "verified files per second")
        axes.set_xlabel("clients at the peak of the ramp")
        only(axes, "y")
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, "files")
    return Chart(
        "files",
        "Files per second",
        "What the source's report does not show: files that are stored and verified, not requests. A file"
        " takes six requests direct and four through the server.",
        f"Verified files per second by clients: {_told(found.rows, METHODS, lambda row: row.files_per_s)}",
        svg,
    )


def _pair(
    found: Findings, side: str, methods: Sequence[Method], lower: tuple[str, str, Pick, Theirs]
) -> Chart:
    """One of the six: throughput above, what it is held against below."""
    what, words, pick, theirs = lower
    name = f"{side}-{what}"
    published = _published(methods) if found.scale == 1 else {}
    with figure(4.4, rows=2) as (drawn, (above, below)):
        _lines(above, found.rows, methods, lambda row: row.rps)
        _lines(below, found.rows, methods, pick)
        for method, cells in published.items():
            levels = list(cells)
            for axes, own in ((above, lambda cell: cell.rps), (below, theirs)):
                axes.plot(
                    levels, [own(cell) for cell in cells.values()], color=colours()[method], linewidth=1.2,
                    linestyle=":", alpha=0.7,
                )  # fmt: skip
        for axes, text in ((above, "requests per second"), (below, words)):
            axes.set_ylim(0)
            heading(axes, text)
            only(axes, "y")
        below.set_xlabel("clients at the peak of the ramp")
        drawn.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, name)
    title = "Both" if side == "both" else capital(NAMES[methods[0]])
    held = "errors" if what == "errors" else "p95"
    return Chart(
        name,
        f"{title}: requests per second against {held}",
        "As in the source's report; dotted: its numbers." if published else "As in the source's report.",
        f"Requests per second: {_told(found.rows, methods, lambda row: row.rps)}; {words}:"
        f" {_told(found.rows, methods, pick)}",
        svg,
    )


def _published(methods: Sequence[Method]) -> Mapping[Method, dict[int, Published]]:
    return {
        method: {level: cell for (level, own), cell in PUBLISHED.items() if own == method}
        for method in methods
    }


def _lines(axes: Axes, rows: Sequence[Row], methods: Sequence[Method], pick: Pick) -> None:
    for method in methods:
        known = [
            (row.vus, value) for row in rows if row.method == method and (value := pick(row)) is not None
        ]
        axes.plot(
            [vus for vus, _ in known], [value for _, value in known], color=colours()[method], marker="o",
            markersize=4.5, linewidth=1.8, label=capital(NAMES[method]),
        )  # fmt: skip


def _told(rows: Sequence[Row], methods: Sequence[Method], pick: Pick) -> str:
    return "; ".join(
        f"{NAMES[method]} "
        + ", ".join(f"{row.vus} clients {number(pick(row))}" for row in rows if row.method == method)
        for method in methods
    )
