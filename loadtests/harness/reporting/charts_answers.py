"""One chart for each of the four answers, and the distributions of both times."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
    ScalarFormatter,
)

from grafana.colours import PROCESS_COLOURS
from loadtests.harness.analysis import words
from loadtests.harness.analysis.model import (
    Analysis,
    ArmCapacity,
    Capacity,
    Knee,
    Neighbours,
    Price,
    Quantile,
)
from loadtests.harness.analysis.price import AUTHENTICATION, process_order
from loadtests.harness.analysis.sentences import multipart_note
from loadtests.harness.reporting.charts import (
    INK,
    MUTED,
    RULE,
    Chart,
    colour,
    figure,
    name_of,
    only,
    to_svg,
)


def goodput(analysis: Analysis, found: Capacity) -> Chart | None:
    """Mean and interval of every arm, each pair as a line between its two trials."""
    arms = [arm for arm in (*found.arms, *found.single) if arm.goodput_per_s.value is not None]
    if not arms:
        return None
    with figure(3.3) as (drawn, (axes,)):
        for place, arm in enumerate(arms):
            _capacity_mark(axes, analysis, place, arm)
        _pair_lines(axes, found, [arm.arm for arm in arms])
        axes.set_xticks(range(len(arms)), [name_of(analysis, arm.arm) for arm in arms], color=INK)
        axes.set_xlim(-0.5, len(arms) - 0.35)
        axes.set_ylim(0, max(max(arm.per_trial) for arm in arms) * 1.15)
        axes.set_title("verified uploads per second", fontsize=10.5, loc="left", color=MUTED)
        only(axes, "y")
        svg = to_svg(drawn, "goodput")
    values = ", ".join(f"{name_of(analysis, a.arm)} {words.number(a.goodput_per_s.value)}" for a in arms)
    return Chart(
        "goodput",
        "How much: goodput of each arm",
        "Large dots are means with their 95 % interval, small dots single trials; a thin line joins the two "
        "trials of a pair. An arm without lines ran beside the pairs and takes part in no verdict."
        + multipart_note(found),
        f"Verified uploads per second: {values}",
        svg,
    )


def _capacity_mark(axes: Axes, analysis: Analysis, place: int, arm: ArmCapacity) -> None:
    mean, own = arm.goodput_per_s, colour(analysis, arm.arm)
    axes.scatter([place] * len(arm.per_trial), arm.per_trial, s=16, color=own, alpha=0.4, linewidths=0)
    value = mean.value or 0.0
    if mean.low is not None and mean.high is not None:
        axes.vlines(place + 0.12, mean.low, mean.high, color=own, linewidth=3)
    axes.scatter([place + 0.12], [value], s=80, color=own, zorder=3, edgecolors="white", linewidths=1.2)
    axes.annotate(
        words.number(value), (place + 0.12, value), xytext=(11, 0), textcoords="offset points",
        va="center", fontsize=13, fontweight="bold", color=own,
    )  # fmt: skip


def _pair_lines(axes: Axes, found: Capacity, order: Sequence[str]) -> None:
    for ratio, pairs in zip(found.ratios, found.pairs, strict=True):
        if ratio.base in order and ratio.arm in order:
            places = (order.index(ratio.base), order.index(ratio.arm))
            for pair in pairs:
                axes.plot(places, pair, color=MUTED, alpha=0.35, linewidth=0.9, zorder=1)


def ramp(analysis: Analysis, knees: Sequence[Knee]) -> Chart | None:
    shown = [knee for knee in knees if knee.peak_goodput_per_s]
    if not shown:
        return None
    with figure(3.2, 2) as (drawn, (left, right)):
        for knee in shown:
            _ramp_curves(left, right, analysis, knee)
        levels = sorted({point.vus for knee in shown for point in knee.points})
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_locator(FixedLocator(levels))
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylim(0, axes.get_ylim()[1] * 1.08)  # room for the ring around the highest point
            axes.set_xlabel("uploads at once (measured)")
        if not right.has_data():
            _say_empty(right, "too few uploads for a p95")
        left.set_title("verified uploads per second", fontsize=10.5, loc="left", color=MUTED)
        right.set_title("p95 of time to durable, ms", fontsize=10.5, loc="left", color=MUTED)
        left.legend(loc="lower right")
        svg = to_svg(drawn, "ramp")
    ends = ", ".join(f"{name_of(analysis, k.arm)} {k.gains_until_vus or 'not reached'}" for k in shown)
    return Chart(
        "ramp",
        "Until when: more clients, until they gain nothing",
        "Ringed: the level from which more clients gain less than 5 %. Hollow levels are invalid and "
        "count for nothing. A closed loop: its waiting times grow with the clients by design.",
        f"Goodput and p95 over concurrency; stops gaining at: {ends}",
        svg,
    )


def _say_empty(axes: Axes, why: str) -> None:
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=MUTED)
    axes.set_yticks([])


def _ramp_curves(left: Axes, right: Axes, analysis: Analysis, knee: Knee) -> None:
    own = colour(analysis, knee.arm)
    valid = [p for p in knee.points if p.valid and p.goodput_per_s.value is not None]
    rest = [p for p in knee.points if p not in valid and p.goodput_per_s.value is not None]
    at = [p.concurrency or p.vus for p in valid]
    rates = [p.goodput_per_s.value or 0.0 for p in valid]
    left.plot(at, rates, color=own, marker="o", markersize=5, linewidth=2, label=name_of(analysis, knee.arm))
    left.scatter(
        [p.concurrency or p.vus for p in rest], [p.goodput_per_s.value or 0.0 for p in rest],
        facecolors="none", edgecolors=own, s=26,
    )  # fmt: skip
    slow = [(p.concurrency or p.vus, p.p95_ms.value) for p in valid if p.p95_ms.value is not None]
    if slow:
        right.plot(*zip(*slow, strict=True), color=own, marker="o", markersize=5, linewidth=2)
    for point in valid:
        if point.vus == knee.gains_until_vus:
            left.scatter(
                [point.concurrency or point.vus], [point.goodput_per_s.value or 0.0],
                s=190, facecolors="none", edgecolors=own, linewidths=1.8,
            )  # fmt: skip


_QUANTILES = {"p95": "p95: 95 of 100 took at most so long", "p50": "p50: half of them took at most so long"}


def beside(analysis: Analysis, found: Neighbours) -> Chart | None:
    known = [q for q in ("p95", "p50") if any(getattr(arm, f"login_{q}").value for arm in found.arms)]
    if not known:
        return None
    q, *_ = known  # half of the answers where there are too few to judge the slowest
    parts = [("login", f"login_{q}"), ("file list", f"list_{q}")]
    with figure(0.75 + 0.52 * len(found.arms), 2) as (drawn, panels):
        for axes, (title, field) in zip(panels, parts, strict=True):
            _bars(axes, analysis, [(arm.arm, getattr(arm, field)) for arm in found.arms])
            axes.set_title(f"{title}, {q} in ms", fontsize=10.5, loc="left", color=MUTED)
        panels[1].set_yticklabels([])
        svg = to_svg(drawn, "beside")
    values = "; ".join(
        f"{name_of(analysis, arm.arm)}: login {words.milliseconds(getattr(arm, f'login_{q}').value)}, "
        f"list {words.milliseconds(getattr(arm, f'list_{q}').value)}"
        for arm in found.arms
    )
    return Chart(
        "beside",
        "What it does to the others: login and list beside uploads",
        f"{_QUANTILES[q]}. Open arrivals of {words.number(found.rate_per_s)} uploads per second by each arm, "
        "and none. "
        "Thin lines are 95 % intervals; where they overlap, a difference is not shown for sure.",
        values,
        svg,
    )


def _bars(axes: Axes, analysis: Analysis, bars: Sequence[tuple[str, Quantile]]) -> None:
    values = [quantile.value or 0.0 for _, quantile in bars]
    tops = [quantile.high or quantile.value or 0.0 for _, quantile in bars]
    for place, (arm, quantile) in enumerate(bars):
        own = colour(analysis, arm) if arm != "none" else "#a9b3bc"
        axes.barh(place, values[place], color=own, height=0.58, linewidth=0)
        if quantile.low is not None and quantile.high is not None:
            axes.hlines(place, quantile.low, quantile.high, color=INK, linewidth=1.3)
        text = words.number(quantile.value) if quantile.value else f"{quantile.n} samples"
        axes.annotate(
            text, (tops[place], place), xytext=(5, 0), textcoords="offset points", va="center",
            fontweight="bold", color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [name_of(analysis, arm) for arm, _ in bars], color=INK)
    axes.set_xlim(0, max(tops) * 1.25 or 1)
    axes.invert_yaxis()
    only(axes, "x")


def price(analysis: Analysis, prices: Sequence[Price]) -> Chart | None:
    """CPU of one upload, stacked by process; authentication and the generator are left out."""
    shown = [p for p in prices if p.system_cpu_s]
    if not shown:
        return None
    left_out = {*AUTHENTICATION, "k6", "harness", "prometheus", "rest"}
    measured = {name for p in shown for name in p.cpu_s if not name.startswith("exporter-")}
    names = sorted(measured - left_out, key=process_order)
    with figure(1.15 + 0.5 * len(shown)) as (drawn, (axes,)):
        starts = [0.0] * len(shown)
        for name in names:
            widths = [p.cpu_s.get(name, 0.0) * 1000 for p in shown]
            axes.barh(
                range(len(shown)), widths, left=starts, height=0.6, label=name,
                color=PROCESS_COLOURS.get(name, MUTED), edgecolor="white", linewidth=0.8,
            )  # fmt: skip
            starts = [start + width for start, width in zip(starts, widths, strict=True)]
        for place, total in enumerate(starts):
            axes.annotate(
                f"{total:.0f}", (total, place), xytext=(6, 0), textcoords="offset points", va="center",
                fontweight="bold",
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [name_of(analysis, p.arm) for p in shown], color=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, max(starts) * 1.1)
        axes.set_xlabel("CPU milliseconds of one upload")
        only(axes, "x")
        drawn.legend(loc="outside upper left", ncols=len(names), columnspacing=1.1, handlelength=1.0)
        svg = to_svg(drawn, "price")
    values = ", ".join(
        f"{name_of(analysis, p.arm)} {words.milliseconds((p.system_cpu_s or 0) * 1000)}" for p in shown
    )
    return Chart(
        "price",
        "What it costs: processor time of one upload",
        "The system's own processes; authentication, the load generator and the harness are in the table.",
        f"CPU time of one upload: {values}",
        svg,
    )


def distribution(analysis: Analysis) -> Chart | None:
    if not analysis.cdfs:
        return None
    with figure(3.1, 2, sharey=True) as (drawn, panels):
        for axes, field, title in zip(
            panels, ("tta_ms", "ttd_ms"), ("time to acknowledgement", "time to durable"), strict=True
        ):
            for cdf in analysis.cdfs:
                values = getattr(cdf, field)
                shares = [index / (len(values) - 1) for index in range(len(values))]
                own = colour(analysis, cdf.arm)
                axes.step(values, shares, color=own, linewidth=2, label=name_of(analysis, cdf.arm))
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.axhline(0.95, color=RULE, linewidth=1.2)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
            axes.set_title(title, fontsize=10.5, loc="left", color=MUTED)
            axes.set_xlabel("ms")
        panels[0].set_ylabel("share of uploads")
        panels[1].legend(loc="lower right")
        svg = to_svg(drawn, "distribution")
    return Chart(
        "distribution",
        "How long: every upload, from its first request",
        "Share of the uploads that took at most so long; the grey line is at 95 of 100. Measured with "
        f"{analysis.cdf_source}. "
        "An arm whose curves differ answers before its file is safe.",
        "Cumulative distributions of time to acknowledgement and time to durable, by arm",
        svg,
    )
