"""The run's time course, and every chart that a result has the numbers for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from grafana.colours import PROCESS_COLOURS
from loadtests.harness.cost import process_order
from loadtests.harness.periods import Floats
from loadtests.harness.records.result import Result, Timeline
from loadtests.harness.report import charts_answers, charts_crowd, charts_fleet, charts_kill, charts_sizes
from loadtests.harness.report.charts import MUTED, RULE, Arms, Chart, figure, heading, only, to_svg

NAMED_SHARE = 0.05  # of the time that was played
STILL_S = 1.0  # between two turns of one load there is no such pause


def charts(result: Result) -> dict[str, Chart]:
    """By name, in the order of the report."""
    arms, found = Arms.of(result), result.compare
    drawn = (
        charts_crowd.crowd(arms, result.crowd) if result.crowd else None,
        charts_crowd.others(arms, result.crowd) if result.crowd else None,
        charts_fleet.fleet(arms, result.fleet) if result.fleet else None,
        *charts_sizes.by_size(arms, result.sizes),
        *charts_kill.killed(arms, result.kills),
        charts_answers.speed(arms, found) if found else None,
        charts_answers.price(arms, found) if found else None,
        charts_answers.blocks(arms, found, result.margin) if found else None,
        charts_answers.levels(arms, result.knees),
        charts_answers.neighbours(arms, result.neighbours) if result.neighbours else None,
        charts_answers.offers(arms, result.offers) if result.offers else None,
        charts_answers.recovery(arms, result.offers) if result.offers else None,
        charts_sizes.rates(arms, result.sizes) if result.sizes else None,
        timeline(result.timeline),
    )
    return {chart.name: chart for chart in drawn if chart}


def timeline(course: Timeline) -> Chart | None:
    """Busy cores by process, with whose turn it was."""
    cores = _by_process(course)
    if not cores:
        return None
    with figure(3.6) as (drawn, (axes,)):
        names = sorted(cores, key=process_order)
        axes.stackplot(
            course.at_s, [cores[name] for name in names], labels=names, linewidth=0, step="post",
            colors=[PROCESS_COLOURS.get(name, MUTED) for name in names],
        )  # fmt: skip
        top = float(np.sum([cores[name] for name in names], axis=0).max())
        _strip(axes, parts_in_time(course), top)
        axes.set_ylim(0, top * 1.4)
        axes.set_xlim(0, course.at_s[-1])
        heading(axes, "busy cores")
        axes.set_xlabel("seconds since the start of the run")
        only(axes, "y")
        drawn.legend(loc="outside upper left", ncols=4, handlelength=1.0, columnspacing=1.1)
        svg = to_svg(drawn, "timeline")
    return Chart(
        "timeline",
        "The run in time: who used the processors",
        "The strip on top names the questions in the order they were asked; where it is broken the load "
        "stood still for an audit. Turns are too short to be seen here.",
        "Busy cores by process over the run",
        svg,
    )


def _strip(axes: Axes, spans: Sequence[tuple[str, float, float]], top: float) -> None:
    """The parts above the curves; short ones (warm-up, probes) have no room for their names."""
    lasted = spans[-1][2] - spans[0][1] if spans else 0.0
    named = 0
    for place, part in enumerate(dict.fromkeys(part for part, _, _ in spans)):
        own = [(begin, end) for one, begin, end in spans if one == part]
        for begin, end in own:
            colour = (MUTED, RULE)[place % 2]
            axes.fill_between([begin, end], top * 1.04, top * 1.1, color=colour, linewidth=0)
        if sum(end - begin for begin, end in own) >= NAMED_SHARE * lasted:
            axes.text(own[0][0], top * (1.26 if named % 2 else 1.14), part, color=MUTED, fontsize=9.5)
            named += 1


def parts_in_time(course: Timeline) -> list[tuple[str, float, float]]:
    """When each part was played, as (part, begin, end) in seconds; apart where the load stood still."""
    found: list[tuple[str, float, float]] = []
    for part, _, begin, end in course.turns:
        if found and found[-1][0] == part and begin - found[-1][2] < STILL_S:
            found[-1] = (part, found[-1][1], end)
        else:
            found.append((part, begin, end))
    return found


def _by_process(course: Timeline) -> dict[str, Floats]:
    """Processes of all stacks together, those left out that never worked."""
    found: dict[str, Floats] = defaultdict(lambda: np.zeros(len(course.at_s)))
    for watched, used in course.cores.items():
        found[watched.rpartition("/")[2]] += np.array(used)
    return {name: used for name, used in found.items() if used.any()}
