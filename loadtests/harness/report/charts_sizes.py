"""Charts over file size: which way is faster and cheaper at which size, and what each does in bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from loadtests.harness.records.result import Interval, Sizes
from loadtests.harness.report.charts import RULE, Arms, Chart, curve, figure, heading, marks, to_svg
from loadtests.harness.wording import capital, ratio, size

_STEPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20)  # marks of a scale of ratios


class _Shown(NamedTuple):
    """One picture of ratios by size."""

    name: str
    metric: str
    title: str
    axis: str
    caption: str


_PICTURES = (
    _Shown("size-speed", "uploads_per_s", "Speed by file size", "speed",
           "Above the line a way is faster than"),
    _Shown("size-cpu", "cpu_s_per_upload", "CPU by file size", "CPU of one upload",
           "CPU of our services and databases for one upload. Below the line a way is cheaper than"),
)  # fmt: skip


def by_size(arms: Arms, found: Sizes | None) -> Iterator[Chart]:
    """Speed and processor time of every way over those of the first, by file size."""
    if found is None or len(found.sizes) < 2:
        return
    for shown in _PICTURES:
        chart = _ratios(arms, found, shown)
        if chart is not None:
            yield chart


def _ratios(arms: Arms, found: Sizes, shown: _Shown) -> Chart | None:
    curves = _by_arm(found, shown.metric)
    bases = {base for base, _ in curves}
    if len(bases) != 1:
        return None
    (base,) = bases
    with figure(3.4) as (drawn, (axes,)):
        axes.axhline(1, color=arms.colour(base), linewidth=1.8, label=arms.name(base))
        for (_, arm), points in curves.items():
            _curve(axes, points, arms.colour(arm), arms.name(arm))
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.8), max(high, 1.25))
        marks(axes.yaxis, _STEPS, FuncFormatter(lambda value, _: f"{value:g} ×"))
        _file_sizes(axes, found)
        first = arms.name(base)[:1].lower() + arms.name(base)[1:]
        heading(axes, f"{shown.axis}, {first} = 1")
        drawn.legend(loc="outside upper left", ncols=2, handlelength=1.2, columnspacing=1.2)
        svg = to_svg(drawn, shown.name)
    values = "; ".join(
        f"{arms.name(arm)}: " + ", ".join(f"{size(at)} {ratio(over)}" for at, over in points)
        for (_, arm), points in curves.items()
    )
    return Chart(
        shown.name,
        shown.title,
        f"{shown.caption} {first}. Upright lines are 95 % intervals: where one crosses the line, "
        "no difference was shown.",
        f"{capital(shown.axis)} by file size, {first} = 1: {values}",
        svg,
    )


def _by_arm(found: Sizes, metric: str) -> dict[tuple[str, str], list[tuple[int, Interval]]]:
    """Ratios over the first arm of each size, by (base, arm) of the question."""
    curves: dict[tuple[str, str], list[tuple[int, Interval]]] = {}
    for one in found.sizes:
        of = {loaded.arm.name: loaded.arm.of for loaded in one.comparison.arms}
        first = next(iter(of), None)
        for over in one.comparison.ratios:
            if over.metric == metric and over.base == first and over.ratio.value is not None:
                curves.setdefault((of[over.base], of[over.arm]), []).append((one.file_size_bytes, over.ratio))
    return curves


_curve = partial(curve, marker=5.5, width=2, upright=1.4)


def _file_sizes(axes: Axes, found: Sizes) -> None:
    axes.set_xscale("log", base=2)
    sizes = [one.file_size_bytes for one in found.sizes]
    marks(axes.xaxis, sizes, FuncFormatter(lambda value, _: size(value)))
    axes.set_xlabel("file size")


def rates(arms: Arms, found: Sizes) -> Chart | None:
    """Payload bytes per second over file size."""
    curves: dict[str, list[tuple[int, Interval]]] = {}
    for one in found.sizes:
        for loaded in one.comparison.arms:
            if loaded.payload_mb_per_s.value is not None:
                curves.setdefault(loaded.arm.of, []).append((one.file_size_bytes, loaded.payload_mb_per_s))
    if not curves:
        return None
    with figure(3.4) as (drawn, (axes,)):
        for arm, points in curves.items():
            _curve(axes, points, arms.colour(arm), arms.name(arm))
        for _, _, small, large in found.crossovers:
            axes.axvspan(small, large, color=RULE, alpha=0.45, linewidth=0, zorder=0)
        axes.set_ylim(0)
        _file_sizes(axes, found)
        heading(axes, "MB/s of verified files")
        drawn.legend(loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, "sizes")
    fastest = ", ".join(
        f"{size(one.file_size_bytes)} "
        f"{arms.name(one.comparison.best) if one.comparison.best else 'not shown'}"
        for one in found.sizes
    )
    return Chart(
        "sizes",
        "From which file size on",
        "Megabytes (10^6) of verified files per second. Shaded: between these two sizes a pair of arms "
        "changes places. Large files have fewer clients.",
        f"Fastest arm by file size: {fastest}",
        svg,
    )
