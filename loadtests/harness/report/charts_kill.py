"""Charts of kills in mid-load: what was acknowledged when, and what of it is gone."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from loadtests.harness.records.result import AfterKill, Kills
from loadtests.harness.report.charts import (
    INK,
    MUTED,
    Arms,
    Chart,
    as_rows,
    figure,
    heading,
    only,
    row_name,
    to_svg,
)
from loadtests.harness.wording import capital, count

ROW_IN = 1.25


def killed(arms: Arms, found: Kills | None) -> list[Chart]:
    """The time course around the kill, and the totals; nothing where nobody was killed."""
    shown = [one for one in found.arms if one.kills] if found else []
    return [_course(arms, found, shown), _kept(arms, shown)] if found and shown else []


def _course(arms: Arms, found: Kills, shown: Sequence[AfterKill]) -> Chart:
    with figure(0.7 + ROW_IN * len(shown), rows=len(shown)) as (drawn, panels):
        for axes, one in zip(panels, shown, strict=True):
            _course_of(axes, arms, one, found.step_s)
        most = max(moment.kept + moment.gone for one in shown for moment in one.course)
        for axes in panels:
            axes.set_ylim(0, max(1, most) * 1.05)
        panels[-1].set_xlabel("seconds since the kill")
        svg = to_svg(drawn, "kill")
    return Chart(
        "kill",
        "Acknowledged around the kill",
        f"Uploads acknowledged in each {found.step_s:g} s, all kills of an arm together; the broken line is "
        f"the kill of the {found.service} service, which is then started again. Black: "
        "acknowledged, and gone.",
        "; ".join(f"{arms.name(one.arm)}: {totals(one)}" for one in shown),
        svg,
    )


def totals(one: AfterKill) -> str:
    """What became of an arm's acknowledged uploads."""
    return f"{one.gone:,} gone of {one.acknowledged:,} acknowledged in {count(len(one.kills), 'kill')}"


def _course_of(axes: Axes, arms: Arms, one: AfterKill, step_s: float) -> None:
    width = 0.92 * step_s
    at = [moment.at_s + step_s / 2 for moment in one.course]
    kept = [moment.kept for moment in one.course]
    gone = [moment.gone for moment in one.course]
    axes.bar(at, kept, width, color=arms.colour(one.arm), linewidth=0)
    axes.bar(at, gone, width, bottom=kept, color=INK, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=1.4, linestyle="--")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    heading(axes, f"{arms.name(one.arm)}: {totals(one)}")
    only(axes, "y")


def _kept(arms: Arms, shown: Sequence[AfterKill]) -> Chart:
    with figure(0.6 + 0.62 * len(shown)) as (drawn, (axes,)):
        for place, one in enumerate(shown):
            axes.barh(place, one.kept, color=arms.colour(one.arm), height=0.34, linewidth=0)
            axes.barh(place, one.gone, left=one.kept, color=INK, height=0.34, linewidth=0)
            row_name(axes, place, arms.name(one.arm), f"{one.kept:,} of {one.acknowledged:,} there")
        as_rows(axes, len(shown))
        axes.set_xlim(0, max(one.kept + one.gone for one in shown) * 1.02 or 1)
        axes.set_xlabel("acknowledged uploads")
        svg = to_svg(drawn, "kept")
    values = "; ".join(f"{capital(arms.name(one.arm))} {one.kept:,} of {one.acknowledged:,}" for one in shown)
    return Chart(
        "kept",
        "Acknowledged, and still there",
        "Coloured: there, and as it was sent. Black: acknowledged to a client, and gone. A kill takes what "
        "was acknowledged shortly before it, so the share depends on how long the load runs until then.",
        f"Acknowledged uploads that are there: {values}",
        svg,
    )
