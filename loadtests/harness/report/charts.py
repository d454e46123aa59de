"""Charts of a report as SVG text: the same analysis gives the same bytes, in any process.

``charts_answers`` draws what a run found, ``charts_evidence`` what lies behind it; here is what they share.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, Formatter, NullLocator, ScalarFormatter

from loadtests.harness.records.plan import NOBODY
from loadtests.harness.records.result import Interval, Result
from loadtests.harness.sentences import arms_of, names_of
from loadtests.harness.wording import capital

INK, MUTED, RULE, FAINT, PAPER = "#1f2933", "#5b6770", "#d5dbe1", "#eef1f4", "#ffffff"
GREY = "#a9b3bc"  # of nobody
FONT = "DejaVu Sans, Verdana, Arial, sans-serif"
WIDTH_IN = 5.2
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vaultbench",
    "font.family": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 1.0,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart with the words that stand beside it; ``alt`` says what it shows to who cannot see it."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str


@dataclass(frozen=True, slots=True)
class Arms:
    """How the arms of a run are called and coloured, wherever they appear."""

    names: Mapping[str, str]
    colours: Mapping[str, str]

    @staticmethod
    def of(result: Result) -> Arms:
        found = arms_of(result)
        names = {name: capital(words) for name, words in names_of(result).items()}
        return Arms(names | {NOBODY: "Nobody uploads"}, {arm.of: arm.colour for arm in found})

    def of_question(self, name: str) -> str:
        """The arm of the question that a level or size of it is: "direct-single 24 VU" is "direct-single"."""
        return max((one for one in self.names if f"{name} ".startswith(f"{one} ")), key=len, default=name)

    def name(self, arm: str) -> str:
        return self.names.get(self.of_question(arm), arm)

    def colour(self, arm: str) -> str:
        return self.colours.get(self.of_question(arm), GREY)


@contextmanager
def figure(height_in: float, columns: int = 1, *, rows: int = 1) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure in the report's style; nothing global is changed after it."""
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        grid = drawn.subplots(rows, columns, squeeze=False, sharex="col" if rows > 1 else False)
        yield drawn, list(grid.flat)


def heading(axes: Axes, text: str) -> None:
    """What an axis shows, above it."""
    axes.set_title(text, fontsize=10.5, loc="left", color=MUTED)


def marks(axis: Axis, places: Sequence[float], formatter: Formatter | None = None) -> None:
    """Marks at these places and nowhere else."""
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(formatter or ScalarFormatter())
    axis.set_minor_locator(NullLocator())


def curve(
    axes: Axes,
    points: Sequence[tuple[float, Interval]],
    colour: str,
    name: str,
    *,
    marker: float = 4.5,
    width: float = 1.8,
    upright: float = 1.2,
) -> None:
    """A line through values, with their 95 % intervals as upright lines."""
    axes.plot(
        [x for x, _ in points], [found.value or 0.0 for _, found in points], color=colour, marker="o",
        markersize=marker, linewidth=width, label=name,
    )  # fmt: skip
    for x, found in points:
        if found.low is not None and found.high is not None:
            axes.vlines(x, found.low, found.high, color=colour, linewidth=upright)


def row_name(axes: Axes, place: int, name: str, value: str) -> None:
    """The name of a row and its value above it: names are long, and the page may be narrow."""
    axes.annotate(
        name, (0, place - 0.36), xycoords=axes.get_yaxis_transform(), va="center", color=INK, fontsize=11.5
    )
    axes.annotate(
        value, (1, place - 0.36), xycoords=axes.get_yaxis_transform(), va="center", ha="right",
        color=INK, fontsize=11.5, fontweight="bold",
    )  # fmt: skip


def as_rows(axes: Axes, count: int) -> None:
    """Rows from top to bottom, with room for the names above them."""
    axes.set_ylim(count - 0.55, -0.6)
    axes.set_yticks([])
    only(axes, "x")


@contextmanager
def plain_figure(
    width_in: float, height_in: float, box: tuple[float, float, float, float]
) -> Iterator[tuple[Figure, Axes]]:
    """One small chart whose places its drawer sets itself: many of them are drawn for one page."""
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(width_in, height_in))
        yield drawn, drawn.add_axes(box)


def to_svg(drawn: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element whose ids are its own, so that several fit one page."""
    out = io.StringIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasSVG(drawn)
        drawn.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r' (width|height)="[0-9.]+pt"', "", text, count=2)
    return _slim(text)


def _slim(text: str) -> str:
    """The same picture in a third of the bytes: short paths, one font for all, no group that nobody names."""
    named = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in named else "", text)
    text = re.sub(r'\bd="([^"]*)"', lambda found: f'd="{_path(found[1])}"', text)
    text = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", text)
    text = re.sub(r"font-family: 'DejaVu Sans'; | transform=\"rotate\(-0 [^)]*\)\"", "", text)
    text = text.replace("<svg ", f'<svg font-family="{FONT}" ', 1)
    text = re.sub(r">\s+<", "><", text).replace("<g/>", "")
    while (inner := re.sub(r"<g>((?:<(?!/?g\b)[^>]*>[^<]*)*)</g>", r"\1", text)) != text:
        text = inner
    return text


def _path(data: str) -> str:
    """To a tenth of a point; lines as steps from one point to the next, which have the fewest digits."""
    if re.search("[A-KN-Ya-y]", data):  # curves
        return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), data)
    parts, before = [], (0, 0)
    for letter, *place in re.findall(r"z|([ML]) (\S+) (\S+)", data):
        if not letter:
            parts.append("z")
            continue
        x, y = (round(float(one) * 10) for one in place)
        if letter == "M":
            parts.append(f"M{x / 10:g} {y / 10:g}")
        else:
            parts.append(f"l{(x - before[0]) / 10:g} {(y - before[1]) / 10:g}")
        before = x, y
    return "".join(parts).replace(" -", "-")


def only(axes: Axes, which: str) -> None:
    """Grid lines of one axis, and no line where the other's labels stand."""
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x" if which == "x" else "y")
    axes.spines["left" if which == "x" else "bottom"].set_visible(which != "x")
