"""Charts of the evidence behind the answers: noise, ledger, and the run's time course."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from grafana.colours import PROCESS_COLOURS
from loadtests.harness.analysis import words
from loadtests.harness.analysis.model import Analysis, Capacity, Ratio, Timeline
from loadtests.harness.analysis.model_books import LedgerView
from loadtests.harness.analysis.price import exporters_gathered, process_order
from loadtests.harness.reporting import charts_answers
from loadtests.harness.reporting.charts import (
    FAINT,
    INK,
    MUTED,
    WIDE_IN,
    Chart,
    colour,
    figure,
    name_of,
    only,
    to_svg,
)

LEDGER_COLOURS = {
    "verified": "#009e73", "pending": "#b9c2ca", "G-00": "#f0c75e", "G-01": "#e69f00", "G-02": "#8b1a1a",
    "G-03": "#b3261e", "G-05": "#d55e00", "G-06": "#9c6ade", "G-07": "#cc79a7", "G-08": "#56b4e9",
}  # fmt: skip


def charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Every chart that the run has the numbers for, answers first."""
    found = analysis.capacity
    drawn = (
        charts_answers.goodput(analysis, found) if found else None,
        charts_answers.ramp(analysis, analysis.knees),
        charts_answers.beside(analysis, analysis.neighbours) if analysis.neighbours else None,
        charts_answers.price(analysis, analysis.prices),
        charts_answers.distribution(analysis),
        noise(analysis, found) if found else None,
        ledger(analysis, analysis.ledger),
        timeline(analysis, analysis.timeline),
    )
    return tuple(chart for chart in drawn if chart)


def noise(analysis: Analysis, found: Capacity) -> Chart | None:
    """Ratios with their intervals over the differences of equal trials."""
    ratios = [ratio for ratio in (*found.ratios, *([found.aa] if found.aa else [])) if ratio.value]
    if not found.noise_ratios and not ratios:
        return None
    with figure(1.1 + 0.42 * (len(ratios) + 1)) as (drawn, (axes,)):
        axes.axvspan(1 - _margin(ratios), 1 + _margin(ratios), color=FAINT, zorder=0)
        axes.axvline(1, color=MUTED, linewidth=1)
        labels = [_forest_row(axes, analysis, place, ratio) for place, ratio in enumerate(ratios)]
        axes.scatter(
            found.noise_ratios, [len(ratios)] * len(found.noise_ratios), s=30, color=MUTED, alpha=0.6
        )
        axes.set_yticks(range(len(ratios) + 1), [*labels, "equal trials"], color=INK)
        axes.invert_yaxis()
        axes.margins(y=0.25)
        axes.set_xlabel("ratio of goodput (1 = equal)")
        only(axes, "x")
        svg = to_svg(drawn, "noise")
    floor = (
        f" Typical difference of two equal trials: {words.percent(found.noise_floor)}."
        if found.noise_floor
        else ""
    )
    return Chart(
        "noise",
        "How sure: the ratio beside the noise",
        "Neighbouring trials of the same arm differ by chance alone (grey dots); the shaded band is the "
        f"margin within which arms count as equal.{floor}",
        "Ratios of goodput with their intervals, and ratios of neighbouring equal trials",
        svg,
    )


def _margin(ratios: Sequence[Ratio]) -> float:
    return ratios[0].margin if ratios else 0.0


def _forest_row(axes: Axes, analysis: Analysis, place: int, ratio: Ratio) -> str:
    own = colour(analysis, ratio.arm)
    if ratio.low is not None and ratio.high is not None:
        axes.hlines(place, ratio.low, ratio.high, color=own, linewidth=2.5)
    axes.scatter([ratio.value or 1.0], [place], s=60, color=own, zorder=3)
    return f"{name_of(analysis, ratio.arm)} over {name_of(analysis, ratio.base)}"


def ledger(analysis: Analysis, books: LedgerView) -> Chart | None:
    """Shares of the classes by arm; the axis is cut where all but the verified begins."""
    arms = [arm for arm in analysis.arms if sum(books.by_arm.get(arm, {}).values())]
    if not arms:
        return None
    classes = [name for name in LEDGER_COLOURS if any(books.by_arm[arm].get(name) for arm in arms)]
    with figure(1.2 + 0.45 * len(arms)) as (drawn, (axes,)):
        starts = [0.0] * len(arms)
        totals = [sum(books.by_arm[arm].get(name, 0) for name in classes) or 1 for arm in arms]
        for name in classes:
            shares = [books.by_arm[arm].get(name, 0) / total for arm, total in zip(arms, totals, strict=True)]
            axes.barh(
                range(len(arms)), shares, left=starts, height=0.56, label=name, color=LEDGER_COLOURS[name],
                linewidth=0,
            )  # fmt: skip
            starts = [start + share for start, share in zip(starts, shares, strict=True)]
        for place, (arm, total) in enumerate(zip(arms, totals, strict=True)):
            text = f"{books.by_arm[arm].get('verified', 0):,} of {total:,}"
            axes.annotate(text, (1.0, place), xytext=(6, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(arms)), [name_of(analysis, arm) for arm in arms], color=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.22)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        only(axes, "x")
        drawn.legend(loc="outside upper left", ncols=min(6, len(classes)), handlelength=1.0)
        svg = to_svg(drawn, "books")
    return Chart(
        "books",
        "What became of every upload",
        "Every intended upload of every trial, in the class that the audit of databases and store gave it.",
        "Shares of ledger classes by arm: "
        + ", ".join(f"{arm} {books.by_arm[arm].get('verified', 0)} verified" for arm in arms),
        svg,
    )


def timeline(analysis: Analysis, course: Timeline) -> Chart | None:
    if not course.at_s:
        return None
    with figure(3.2, width_in=WIDE_IN) as (drawn, (axes,)):
        moments = [
            exporters_gathered(dict(zip(course.cores, values, strict=True)))
            for values in zip(*course.cores.values(), strict=True)
        ]
        names = sorted((n for n in moments[0] if any(cores[n] for cores in moments)), key=process_order)
        axes.stackplot(
            course.at_s, [[cores[name] for cores in moments] for name in names], labels=names, linewidth=0,
            step="post", colors=[PROCESS_COLOURS.get(name, MUTED) for name in names],
        )  # fmt: skip
        top = max(sum(cores.values()) for cores in moments)
        for _, arm, start, end in course.trials:
            own = colour(analysis, arm) if arm != "none" else "#a9b3bc"
            axes.fill_between([start, end], top * 1.04, top * 1.09, color=own, linewidth=0)
        axes.set_ylim(0, top * 1.12)
        axes.set_xlim(0, course.at_s[-1])
        axes.set_ylabel("cores busy")
        axes.set_xlabel("seconds since the start of the run")
        only(axes, "y")
        drawn.legend(loc="outside upper left", ncols=12, handlelength=1.0, columnspacing=1.1)
        svg = to_svg(drawn, "timeline")
    return Chart(
        "timeline",
        "The run in time: who used the processors",
        "The strip on top shows which arm ran; its colours are those of the arms in the charts above.",
        "Busy cores by process over the run",
        svg,
    )
