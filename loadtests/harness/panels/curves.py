"""What a panel draws: its series with names and colours, from a recording."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grafana.model import Kind, Panel, Query, Unit
from grafana.promql import WINDOW
from grafana.strategies import strategies, with_variants
from loadtests.harness.panels.recording import Recording, Series

# Okabe and Ito's hues and darker ones between, for series that have no colour of their own.
PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31", "#374c80",
    "#a05195",
)  # fmt: skip
MOST_CURVES = 9
BY_ARM = "{{arm}}"
Colours = Mapping[str, str]
NO_ARMS: Colours = {}


@dataclass(frozen=True, slots=True)
class Curve:
    """One line, or one cloud of dots: x in minutes, or whatever the other axis is."""

    name: str
    colour: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]


Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """What a panel shows, and how many it leaves out: smaller series, and those that stayed at 0."""

    shown: tuple[Curve, ...]
    left_out: int = 0
    at_zero: int = 0


def curves_of(panel: Panel, recording: Recording, arms: Colours = NO_ARMS) -> Curves:
    """All curves of a panel, the largest ones if there are many; none when nothing was recorded. Lines that
    stay at 0 beside others that do not are only counted. ``arms`` are the colours of the run's arms."""
    look = _against if panel.kind is Kind.CURVE else _over_time
    found = [
        (name, query.colour or _colour(panel, query, name, arms), points)
        for query in panel.queries
        for name, points in look(query, recording)
        if points
    ]
    moved = [one for one in found if any(value for _, value in one[2])]
    at_zero = len(found) - len(moved) if moved and panel.kind is Kind.LINES else 0
    found = moved if at_zero else found
    found.sort(key=lambda one: -_mean(one[2]))
    kept, spare = found[:MOST_CURVES], iter(PALETTE)
    kept.sort(key=lambda one: _place(one[0]))
    return Curves(
        tuple(Curve(name, own or next(spare), *_columns(points)) for name, own, points in kept),
        len(found) - len(kept),
        at_zero,
    )


def _place(name: str) -> tuple[int, str]:
    """Strategies in their order, everything else by name."""
    order = [one.arm for one in with_variants()]
    return (order.index(name) if name in order else len(order), name)


def _columns(points: Points) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(x for x, _ in points), tuple(y for _, y in points)


def _over_time(query: Query, recording: Recording) -> Iterator[tuple[str, Points]]:
    back_s = _centre_s(query, recording)
    for series in recording.answers.get(query.expr, ()):
        pairs = zip(recording.seconds(series), series.values, strict=True)
        points = [((at - back_s) / 60, value) for at, value in pairs if value is not None and at >= back_s]
        yield legend(query.legend, series.labels), points


def _centre_s(query: Query, recording: Recording) -> float:
    """A rate tells of the time it looks back over, so it belongs into the middle of that, beside the turn it
    comes from; a gauge tells of its own moment."""
    return recording.rate_window_s / 2 if not query.instant and WINDOW in query.expr else 0.0


def _against(query: Query, recording: Recording) -> Iterator[tuple[str, Points]]:
    """y over x at equal moments; legends of such queries name no label, so there is one series each."""
    xs, ys = (_by_second(recording, recording.answers.get(expr, ())) for expr in (query.x, query.expr))
    points = [(xs[at], ys[at]) for at in sorted(xs.keys() & ys.keys()) if xs[at] > 0]
    yield query.legend, points


def _by_second(recording: Recording, series: Sequence[Series]) -> dict[float, float]:
    return {
        at: value
        for one in series
        for at, value in zip(recording.seconds(one), one.values, strict=True)
        if value is not None
    }


def legend(template: str, labels: Mapping[str, str]) -> str:
    """The legend with its labels; a method on its own is called by its strategy's name."""
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()
    return next((one.arm for one in strategies() if template == "{{method}}" and one.method == text), text)


def _colour(panel: Panel, query: Query, name: str, arms: Colours) -> str | None:
    """The colour of whoever the curve belongs to, an arm's as its report has it; two curves of one owner must
    differ instead."""
    own = arms.get(name) if query.legend == BY_ARM else None
    return own or panel.colours.get(name)


def _mean(points: Points) -> float:
    return sum(value for _, value in points) / len(points)


def amount(value: float, unit: Unit, decimals: int | None = None) -> str:
    """A value with its unit, for people."""
    if decimals is not None:
        return f"{value:,.{decimals}f}" + ("/s" if unit is Unit.PER_S else "")
    if unit is Unit.SECONDS:
        return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"
    if unit is Unit.SHARE:
        return f"{value * 100:.3g} %"
    if unit in (Unit.BYTES, Unit.BYTES_PER_S):
        return _bytes(value) + ("/s" if unit is Unit.BYTES_PER_S else "")
    suffix = "/s" if unit in (Unit.PER_S, Unit.REQUESTS_PER_S) else ""
    return f"{value:,.0f}{suffix}" if value >= 1000 else f"{value:.3g}{suffix}"


def _bytes(value: float) -> str:
    for name in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or name == "GiB":
            return f"{value:.3g} {name}"
        value /= 1024
    raise AssertionError
