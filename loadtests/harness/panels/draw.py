"""One panel as an SVG with its legend inside, so that a picture stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from grafana.model import Kind, Panel, Unit
from loadtests.harness.panels.curves import NO_ARMS, Colours, Curve, Curves, amount, curves_of
from loadtests.harness.panels.recording import Recording
from loadtests.harness.report.charts import INK, MUTED, plain_figure, to_svg

WIDTH_IN, STAT_IN, PLOT_IN = 4.7, 0.8, 2.0
LINE_IN, BELOW_IN, LEFT_IN, RIGHT_IN, TOP_IN = 0.25, 0.5, 0.92, 0.12, 0.38
LETTER_IN = 0.092  # one letter of a legend, about
LINE_LETTERS = 38
SPAN_ALPHA = 0.1
NAMED_SHARE = 0.05  # of the picture: shorter questions are shaded without their name
WIDE = 8  # grid columns of a plot
MARKS, MOST_TIMES = 5, 7  # of the axes of amounts and of time
TIMES_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


@dataclass(frozen=True, slots=True)
class Shade:
    """A span of time behind the curves, in minutes: a question of the run."""

    begin: float
    end: float
    colour: str
    name: str


def draw(
    panel: Panel, recording: Recording, shades: Sequence[Shade], name: str, arms: Colours = NO_ARMS
) -> str | None:
    """The panel's picture, or nothing when Prometheus had no answer for it."""
    found = curves_of(panel, recording, arms)
    curves = found.shown
    if not curves:
        return None
    if panel.kind is Kind.STAT:
        return _numbers(panel, curves, name)
    rows = _legend_rows([*(curve.name for curve in curves), *_left_out(found)])
    height = PLOT_IN + TOP_IN + BELOW_IN + LINE_IN * len(rows)
    box = (LEFT_IN / WIDTH_IN, (height - PLOT_IN - TOP_IN) / height,
           1 - (LEFT_IN + RIGHT_IN) / WIDTH_IN, PLOT_IN / height)  # fmt: skip
    with plain_figure(WIDTH_IN, height, box) as (drawn, axes):
        if panel.kind is Kind.CURVE:
            _cloud(axes, panel, curves)
        else:
            _lines(axes, panel, curves, shades, recording)
        axes.tick_params(axis="x", pad=6)  # clear of the lowest mark of the other axis
        _limits(axes, panel, curves)
        axes.yaxis.set_major_locator(amounts(panel.unit, axes.get_ylim()[1]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, panel.unit)))
        _legend(drawn, rows, curves)
        return to_svg(drawn, name)


def _lines(
    axes: Axes, panel: Panel, curves: Sequence[Curve], shades: Sequence[Shade], recording: Recording
) -> None:
    for colour in dict.fromkeys(shade.colour for shade in shades):
        _spans(axes, colour, [shade for shade in shades if shade.colour == colour])
    gap = 1.5 * recording.step_s / 60
    if panel.stacked:
        _bands(axes, curves, gap)
    else:
        for curve in curves:
            xs, ys = _broken(curve, gap)
            (line,) = axes.plot(xs, ys, color=curve.colour, linewidth=1.6, marker="o", markersize=1.6)
            line.set_markevery(alone(ys))
    lasted = (recording.end - recording.start) / 60
    _names(axes, shades, lasted)
    axes.set_xlim(0, lasted)
    axes.set_xlabel("minutes : seconds", labelpad=1)
    axes.xaxis.set_major_locator(times(lasted))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))


def _spans(axes: Axes, colour: str, shades: Sequence[Shade]) -> None:
    """From top to bottom, all of a colour as one path."""
    boxes = [
        Path([(one.begin, 0), (one.end, 0), (one.end, 1), (one.begin, 1), (one.begin, 0)], closed=True)
        for one in shades
    ]
    spans = PathPatch(Path.make_compound_path(*boxes), color=colour, alpha=SPAN_ALPHA, linewidth=0)
    spans.set_transform(axes.get_xaxis_transform())
    axes.add_patch(spans)


def _names(axes: Axes, shades: Sequence[Shade], lasted: float) -> None:
    """What begins where, in two lines by turns; what was short (warm-up, probes) has no room for its name."""
    first: dict[str, float] = {}
    took: dict[str, float] = {}
    for shade in shades:
        first.setdefault(shade.name, shade.begin)
        took[shade.name] = took.get(shade.name, 0.0) + shade.end - shade.begin
    named = [(name, begin) for name, begin in first.items() if took[name] >= NAMED_SHARE * lasted]
    for place, (name, begin) in enumerate(named):
        axes.text(
            begin, 1.0 + 0.085 * (place % 2), name, transform=axes.get_xaxis_transform(), color=MUTED,
            va="bottom", clip_on=False,
        )  # fmt: skip


def _bands(axes: Axes, curves: Sequence[Curve], gap: float) -> None:
    """One band on the other, interrupted like lines; a moment on its own is a narrow bar."""
    known = [dict(zip(curve.xs, curve.ys, strict=True)) for curve in curves]
    for run in runs(sorted({x for curve in curves for x in curve.xs}), gap):
        xs, moments = (run, run) if len(run) > 1 else ([run[0] - gap / 5, run[0] + gap / 5], run * 2)
        values = [[one.get(moment, 0.0) for moment in moments] for one in known]
        axes.stackplot(xs, *values, colors=[curve.colour for curve in curves], alpha=0.85, linewidth=0)


def runs(moments: Sequence[float], gap: float) -> list[list[float]]:
    """Moments in order, apart where more than a gap lies between two."""
    found: list[list[float]] = []
    for moment in moments:
        if found and moment - found[-1][-1] <= gap:
            found[-1].append(moment)
        else:
            found.append([moment])
    return found


def _broken(curve: Curve, gap: float) -> tuple[list[float], list[float]]:
    """The line interrupted where moments are missing: nothing was measured there."""
    xs, ys = list(curve.xs[:1]), list(curve.ys[:1])
    for before, at, value in zip(curve.xs, curve.xs[1:], curve.ys[1:], strict=False):
        if at - before > gap:
            xs.append(before)
            ys.append(float("nan"))
        xs.append(at)
        ys.append(value)
    return xs, ys


def alone(ys: Sequence[float]) -> list[int]:
    """Places of values with no neighbour, of which a line shows nothing."""
    gaps = [True, *map(isnan, ys), True]
    return [place for place in range(len(ys)) if gaps[place] and gaps[place + 2] and not gaps[place + 1]]


def _cloud(axes: Axes, panel: Panel, curves: Sequence[Curve]) -> None:
    for curve in curves:
        axes.scatter(curve.xs, curve.ys, s=16, color=curve.colour, alpha=0.75, linewidths=0)
    axes.set_xlim(left=0)
    axes.set_xlabel(panel.x_title, labelpad=1)


def _limits(axes: Axes, panel: Panel, curves: Sequence[Curve]) -> None:
    """From 0, with room above, and the thresholds that are in sight: all of them over a line at 0."""
    top = axes.get_ylim()[1] if panel.stacked else max((max(curve.ys) for curve in curves), default=0) * 1.1
    top = top if top > 0 else max((limit.value for limit in panel.thresholds), default=1.0)
    for limit in panel.thresholds:
        if limit.value < 1.5 * top:
            top = max(top, limit.value * 1.1)
            axes.axhline(limit.value, color=limit.colour, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_ylim(0, max(top, (panel.maximum or 0) * 1.02))


def _legend_rows(names: Sequence[str]) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and sum(len(one) + 5 for one in rows[-1]) + len(name) > LINE_LETTERS:
            rows.append([])
        rows[-1].append(name)
    return rows


def _left_out(found: Curves) -> list[str]:
    """What the legend says of curves that are not drawn."""
    smaller = [f"and {found.left_out} smaller"] if found.left_out else []
    return smaller + ([f"{found.at_zero} more at 0"] if found.at_zero else [])


def _legend(drawn: Figure, rows: Sequence[Sequence[str]], curves: Sequence[Curve]) -> None:
    """Lines of text, placed by their length: matplotlib's own legend takes longer than all the rest."""
    colours = {curve.name: curve.colour for curve in curves}
    for index, row in enumerate(rows):
        x, y = LEFT_IN, LINE_IN * (len(rows) - index - 0.6)
        for name in row:
            place = (x / drawn.get_figwidth(), y / drawn.get_figheight())
            if name in colours:
                drawn.text(*place, "\u25a0", color=colours[name], va="center")
                place = (place[0] + 0.18 / drawn.get_figwidth(), place[1])
            drawn.text(*place, name, color=INK, va="center")
            x += 0.4 + LETTER_IN * len(name)


def _numbers(panel: Panel, curves: Sequence[Curve], name: str) -> str:
    """One number beside the other, in its strategy's colour; names in two lines, so that they are legible."""
    with plain_figure(WIDTH_IN * panel.width / WIDE, STAT_IN, (0, 0, 1, 1)) as (drawn, axes):
        axes.set_axis_off()
        for index, curve in enumerate(curves):
            x, text = (index + 0.5) / len(curves), amount(curve.ys[-1], panel.unit, panel.decimals)
            drawn.text(
                x, 0.8, text, ha="center", va="center", fontsize=14, fontweight="bold", color=curve.colour
            )
            owner = curve.name.replace("-", "-\n", 1)
            drawn.text(x, 0.58, owner, ha="center", va="top", linespacing=1.1, color=MUTED)
        return to_svg(drawn, name)


def amounts(unit: Unit, top: float) -> Locator:
    """Marks of the upright axis: a MiB has 1024 KiB, so a thousandth of it is no round number."""
    if unit not in (Unit.BYTES, Unit.BYTES_PER_S):
        return MaxNLocator(MARKS, integer=unit is Unit.COUNT and top >= MARKS)
    step = 1.0
    while top / step > MARKS:
        step *= 2
    return MultipleLocator(step)


def times(minutes: float) -> Locator:
    """Marks of a time axis that is this long."""
    wanted = minutes * 60 / MOST_TIMES
    step = next((one for one in TIMES_S if one >= wanted), TIMES_S[-1])
    return MultipleLocator(step / 60)


def clock(minutes: float) -> str:
    """Minutes and seconds of a mark."""
    whole, seconds = divmod(round(minutes * 60), 60)
    return f"{whole}:{seconds:02d}"
