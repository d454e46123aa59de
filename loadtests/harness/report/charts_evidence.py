"""The run's time course, and every chart that a result has the numbers for."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from grafana.colours import PROCESS_COLOURS
from loadtests.harness.cost import process_order
from loadtests.harness.records.result import Result, Timeline
from loadtests.harness.report import charts_answers
from loadtests.harness.report.charts import MUTED, WIDE_IN, Arms, Chart, figure, only, to_svg


def charts(result: Result) -> dict[str, Chart]:
    """By name, in the order of the report."""
    arms, found = Arms.of(result), result.compare
    drawn = (
        charts_answers.speed(arms, found) if found else None,
        charts_answers.price(arms, found) if found else None,
        charts_answers.blocks(arms, found, result.margin) if found else None,
        charts_answers.levels(arms, result.knees),
        charts_answers.neighbours(arms, result.neighbours) if result.neighbours else None,
        charts_answers.offers(arms, result.offers) if result.offers else None,
        charts_answers.sizes(arms, result.sizes) if result.sizes else None,
        timeline(arms, result.timeline),
    )
    return {chart.name: chart for chart in drawn if chart}


def timeline(arms: Arms, course: Timeline) -> Chart | None:
    """Busy cores by process, with whose turn it was."""
    cores = _by_process(course)
    if not cores:
        return None
    with figure(3.2, width_in=WIDE_IN) as (drawn, (axes,)):
        names = sorted(cores, key=process_order)
        axes.stackplot(
            course.at_s, [cores[name] for name in names], labels=names, linewidth=0, step="post",
            colors=[PROCESS_COLOURS.get(name, MUTED) for name in names],
        )  # fmt: skip
        top = float(np.sum([cores[name] for name in names], axis=0).max())
        for _, arm, begin, end in course.turns:
            axes.fill_between([begin, end], top * 1.04, top * 1.1, color=arms.colour(arm), linewidth=0)
        axes.set_ylim(0, top * 1.13)
        axes.set_xlim(0, course.at_s[-1])
        axes.set_ylabel("cores busy")
        axes.set_xlabel("seconds since the start of the run")
        only(axes, "y")
        drawn.legend(loc="outside upper left", ncols=12, handlelength=1.0, columnspacing=1.1)
        svg = to_svg(drawn, "timeline")
    return Chart(
        "timeline",
        "The run in time: who used the processors",
        "The strip on top shows whose turn it was, in the arms' colours; where it is broken the load "
        "stood still "
        "for an audit.",
        "Busy cores by process over the run",
        svg,
    )


def _by_process(course: Timeline) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Processes of all stacks together, those left out that never worked."""
    found: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = defaultdict(
        lambda: np.zeros(len(course.at_s))
    )
    for watched, used in course.cores.items():
        found[watched.rpartition("/")[2]] += np.array(used)
    return {name: used for name, used in found.items() if used.any()}
