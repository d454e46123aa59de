"""Charts of what a run found: speed and price by arm, blocks in the order run, levels, neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from grafana.colours import PROCESS_COLOURS
from loadtests.harness import cost
from loadtests.harness.records.result import (
    COURSE_S,
    ArmResult,
    Beside,
    Comparison,
    Interval,
    Knee,
    Latency,
    Neighbours,
    Offers,
    Ratio,
)
from loadtests.harness.records.vocabulary import STORES
from loadtests.harness.report.charts import (
    FAINT,
    INK,
    MUTED,
    PAPER,
    Arms,
    Chart,
    as_rows,
    curve,
    figure,
    heading,
    marks,
    only,
    row_name,
    to_svg,
)
from loadtests.harness.wording import (
    cpu_interval,
    cpu_ms,
    percent,
    precise,
    ratio,
    turned,
    unit_of,
    waited,
    with_interval,
)

MOST_PAIRS = 6  # of ratios drawn
# What an upload makes work, in the order of the bars.
_PRICED = (*cost.SERVICES, *cost.DATABASES, *cost.JOINTS, *STORES, cost.GENERATOR)


def speed(arms: Arms, found: Comparison) -> Chart | None:
    """Rate of every arm with its interval, over the rates of its periods."""
    shown = [one for one in found.arms if one.uploads_per_s.value is not None]
    if not shown:
        return None
    unit = unit_of(one.arm for one in found.arms)
    with figure(0.6 + 0.62 * len(shown)) as (drawn, (axes,)):
        for place, one in enumerate(shown):
            own, rate = arms.colour(one.arm.name), one.uploads_per_s
            axes.scatter(
                one.per_period, [place] * len(one.per_period), s=14, color=own, alpha=0.25, linewidths=0
            )
            _interval(axes, place, rate, own)
            row_name(axes, place, arms.name(one.arm.name), with_interval(rate))
        as_rows(axes, len(shown))
        most = max(max((*one.per_period, one.uploads_per_s.value or 0.0)) for one in shown)
        axes.set_xlim(0, most * 1.05 or 1.0)
        axes.set_xlabel(f"verified {unit}s per second")
        svg = to_svg(drawn, "speed")
    values = ", ".join(f"{arms.name(one.arm.name)} {with_interval(one.uploads_per_s)}" for one in shown)
    return Chart(
        "speed",
        "Speed",
        "Large dots are the rates, bars their 95 % intervals, small dots single turns of a second or two. "
        "The machine itself gets faster and slower, so ways are compared turn by turn, not by these rates.",
        f"Verified {unit}s per second: {values}",
        svg,
    )


def _interval(axes: Axes, place: float, found: Interval, colour: str) -> None:
    if found.low is not None and found.high is not None:
        axes.hlines(place, found.low, found.high, color=colour, linewidth=3.5)
    if found.value is not None:
        axes.scatter([found.value], [place], s=70, color=colour, zorder=3, edgecolors=PAPER, linewidths=1.2)


def price(arms: Arms, found: Comparison) -> Chart | None:
    """Processor time of one upload by process, stacked."""
    shown = [one for one in found.arms if one.cpu_s_per_upload.value is not None]
    if not shown:
        return None
    names = [name for name in _PRICED if any(_ms(one, name) for one in shown)]
    unit = unit_of(one.arm for one in found.arms)
    with figure(1.05 + 0.62 * len(shown)) as (drawn, (axes,)):
        starts = [0.0] * len(shown)
        for name in names:
            widths = [_ms(one, name) for one in shown]
            axes.barh(
                range(len(shown)), widths, left=starts, height=0.34, label=name,
                color=PROCESS_COLOURS.get(name, MUTED), edgecolor=PAPER, linewidth=0.8,
            )  # fmt: skip
            starts = [start + width for start, width in zip(starts, widths, strict=True)]
        for place, one in enumerate(shown):
            row_name(axes, place, arms.name(one.arm.name), cpu_interval(one.cpu_s_per_upload))
        as_rows(axes, len(shown))
        axes.set_xlim(0, max(starts) * 1.02)
        axes.set_xlabel(f"CPU milliseconds of one {unit}, by process")
        drawn.legend(loc="outside upper left", ncols=4, columnspacing=1.1, handlelength=1.0)
        svg = to_svg(drawn, "price")
    values = ", ".join(
        f"{arms.name(one.arm.name)} {with_interval(one.cpu_s_per_upload, cpu_ms)} ms" for one in shown
    )
    return Chart(
        "price",
        f"What one {unit} costs",
        "The numbers are our services and their databases. The store (minio) and the client (k6) are drawn "
        "behind them and not in the numbers; logins are left out.",
        f"CPU time of one {unit}, our services and databases: {values}",
        svg,
    )


def _ms(one: ArmResult, process: str) -> float:
    used = one.cpu_s_by_process.get(process)
    return 1000 * (used.value or 0.0) if used else 0.0


def blocks(arms: Arms, found: Comparison, margin: float) -> Chart | None:
    """The ratio of every block, or making of the stacks, in the order run."""
    rates = [faster_first(one) for one in found.ratios if one.metric == "uploads_per_s" and one.blocks][
        :MOST_PAIRS
    ]
    if not rates:
        return None
    with figure(0.5 + 1.5 * len(rates), rows=len(rates)) as (drawn, panels):
        for axes, one in zip(panels, rates, strict=True):
            _blocks_of(axes, arms, one, margin)
        unit = "block" if rates[0].unit == "block" else "making of the stacks"
        panels[-1].set_xlabel(f"{unit}, in the order run")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        svg = to_svg(drawn, "blocks")
    values = "; ".join(f"{_pair(arms, one)} {ratio(one.ratio)}" for one in rates)
    return Chart(
        "blocks",
        "How sure: every ratio in the order run",
        f"Each dot is the ratio of one {unit}; the line and the dark band are their mean with its 95 % "
        "interval, the pale band is the margin within which arms count as equal. A drift or a jump would "
        "show here.",
        f"Ratios of verified {unit_of(one.arm for one in found.arms)}s per second: {values}",
        svg,
    )


def faster_first(one: Ratio) -> Ratio:
    """The same ratio with the faster arm on top, as sentences say it."""
    if one.ratio.value is None or one.ratio.value >= 1:
        return one
    turned_blocks = tuple(1 / block for block in one.blocks)
    return one.model_copy(
        update={"arm": one.base, "base": one.arm, "ratio": turned(one.ratio), "blocks": turned_blocks}
    )


def _pair(arms: Arms, one: Ratio) -> str:
    base = arms.name(one.base)
    return f"{arms.name(one.arm)} over {base[:1].lower() + base[1:]}"


def _blocks_of(axes: Axes, arms: Arms, one: Ratio, margin: float) -> None:
    own, places = arms.colour(one.arm), range(1, len(one.blocks) + 1)
    axes.axhspan(1 - margin, 1 + margin, color=FAINT, zorder=0)
    axes.axhline(1, color=MUTED, linewidth=1)
    if one.ratio.low is not None and one.ratio.high is not None:
        axes.axhspan(one.ratio.low, one.ratio.high, color=own, alpha=0.22, linewidth=0)
    if one.ratio.value is not None:
        axes.axhline(one.ratio.value, color=own, linewidth=1.6)
    axes.scatter(places, one.blocks, s=22, color=own, zorder=3, linewidths=0)
    axes.set_xlim(0.5, len(one.blocks) + 0.5)
    heading(axes, f"{_pair(arms, one)}:\n{ratio(one.ratio)} times")
    only(axes, "y")


def levels(arms: Arms, knees: Sequence[Knee]) -> Chart | None:
    """Rate and waiting time by number of clients, with the range of the knee where there is one."""
    shown = [knee for knee in knees if any(level.uploads_per_s.value for level in knee.levels)]
    if not shown:
        return None
    with figure(5.2, rows=2) as (drawn, (left, right)):
        for knee in shown:
            _levels_of(left, right, arms, knee)
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            marks(axes.xaxis, sorted({one.vus for knee in shown for one in knee.levels}))
            axes.set_ylim(0)
        right.set_xlabel("clients at once")
        heading(left, "verified uploads per second")
        heading(right, "95 of 100 are durable within, ms")
        drawn.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, "levels")
    ends = ", ".join(f"{arms.name(knee.arm)} {knee_range(knee)}" for knee in shown)
    shaded = "Shaded: where an arm stops gaining. " if any(knee.reached for knee in shown) else ""
    return Chart(
        "levels",
        "More clients: until when they bring more",
        "Where the upper lines run flat, more clients only wait longer: the lower lines rise. "
        f"{shaded}Upright lines are 95 % intervals. Waits are of all uploads of a level, not from buckets.",
        f"Verified uploads per second by clients at once; gains until: {ends}",
        svg,
    )


def knee_range(knee: Knee) -> str:
    """Both ends, or the one that is known."""
    if knee.why_not is not None:
        return f"not found: {knee.why_not}"
    if knee.high_vus is None:
        return f"more than {knee.low_vus}"
    if knee.low_vus is None:
        return f"at most {knee.high_vus}"
    return f"between {knee.low_vus} and {knee.high_vus}"


def _levels_of(left: Axes, right: Axes, arms: Arms, knee: Knee) -> None:
    own = arms.colour(knee.arm)
    known = [one for one in knee.levels if one.uploads_per_s.value is not None]
    curve(left, [(one.vus, one.uploads_per_s) for one in known], own, arms.name(knee.arm))
    if knee.low_vus is not None and knee.high_vus is not None:
        left.axvspan(knee.low_vus, knee.high_vus, color=own, alpha=0.12, linewidth=0)
    slow = [(one.vus, one.durable_p95_ms) for one in known if one.durable_p95_ms is not None]
    if slow:
        right.plot(*zip(*slow, strict=True), color=own, marker="o", markersize=4.5, linewidth=1.8)


def neighbours(arms: Arms, found: Neighbours) -> Chart | None:
    """p95 of login and list beside each arm and beside nobody."""
    return others(
        arms,
        found.arms,
        "neighbours",
        f"while each arm was offered {precise(found.rate_per_s)} uploads per second",
    )


def others(arms: Arms, found: Sequence[Beside], name: str, meanwhile: str) -> Chart | None:
    """p95 of login and list beside each; ``meanwhile`` says in the caption what uploads there were."""
    if not any(wait.ms.value for one in found for wait in (one.login_p95, one.list_p95)):
        return None
    with figure(1.1 + 0.96 * len(found), rows=2) as (drawn, panels):
        for axes, title, step in zip(
            panels, ("logins", "file lists"), ("login_p95", "list_p95"), strict=True
        ):
            _waits(axes, arms, [(one.arm, getattr(one, step)) for one in found])
            heading(axes, f"95 of 100 {title} take at most, ms")
        waits = [wait.ms for one in found for wait in (one.login_p95, one.list_p95)]
        panels[-1].set_xlim(0, max(ms.high or ms.value or 1.0 for ms in waits) * 1.05)
        svg = to_svg(drawn, name)
    values = "; ".join(
        f"{arms.name(one.arm)}: login {waited(one.login_p95.ms)}, list {waited(one.list_p95.ms)}"
        for one in found
    )
    return Chart(
        name,
        "What uploads do to the others",
        f"How long 95 of 100 took at most {meanwhile}. "
        "Dark lines are 95 % intervals; where they overlap, a difference is not shown for sure.",
        values,
        svg,
    )


def _waits(axes: Axes, arms: Arms, waits: Sequence[tuple[str, Latency]]) -> None:
    for place, (arm, wait) in enumerate(waits):
        axes.barh(place, wait.ms.value or 0.0, color=arms.colour(arm), height=0.3, linewidth=0)
        if wait.ms.low is not None and wait.ms.high is not None:
            axes.hlines(place, wait.ms.low, wait.ms.high, color=INK, linewidth=1.3)
        value = precise(wait.ms.value) if wait.ms.value is not None else f"{wait.samples} samples"
        row_name(axes, place, arms.name(arm), value)
    as_rows(axes, len(waits))


def recovery(arms: Arms, found: Offers) -> Chart | None:
    """What is served in the calm turn behind an overload, from its first second on."""
    shown = [one for one in found.recoveries if one.course]
    if not shown:
        return None
    with figure(3.1) as (drawn, (axes,)):
        axes.axhline(100, color=MUTED, linewidth=1, linestyle=":")
        for one in shown:
            middles = [(at + 0.5) * COURSE_S for at in range(len(one.course))]
            axes.plot(
                middles, [100 * share for share in one.course], color=arms.colour(one.arm), marker="o", ms=4,
                label=arms.name(one.arm),
            )  # fmt: skip
        axes.set_ylim(0)
        axes.set_xlim(0)
        heading(axes, "served, % of the calm rate")
        axes.set_xlabel("seconds since the overload ended")
        drawn.legend(loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, "recovery")
    values = "; ".join(
        f"{arms.name(one.arm)} {', '.join(percent(share) for share in one.course)}" for one in shown
    )
    return Chart(
        "recovery",
        "How soon an overload is over",
        f"Mean of the turns right behind those at {percent(shown[0].after_share)} of capacity, in steps of "
        f"{COURSE_S:g} s. Dotted: what is served in calm.",
        f"Served after an overload, in steps of {COURSE_S:g} s, over the calm rate: {values}",
        svg,
    )


def offers(arms: Arms, found: Offers) -> Chart | None:
    """Waits and served uploads over the offered rate."""
    shown = [cell for cell in found.cells if cell.acked_p95.ms.value is not None]
    if not shown:
        return None
    with figure(3.1, 2) as (drawn, (left, right)):
        for arm in dict.fromkeys(cell.arm for cell in shown):
            own = sorted((cell for cell in shown if cell.arm == arm), key=lambda cell: cell.share)
            waits = [(cell.share * 100, cell.acked_p95.ms) for cell in own]
            rates = [(cell.share * 100, cell.uploads_per_s) for cell in own]
            for axes, points in ((left, waits), (right, rates)):
                curve(axes, points, arms.colour(arm), arms.name(arm), marker=4, width=1.5)
        ends = [0.0, max(cell.offered_per_s for cell in shown)]
        right.plot([0, ends[1] / found.capacity_per_s * 100], ends, color=MUTED, linewidth=1, linestyle=":")
        right.set_ylim(0, 1.3 * max(cell.uploads_per_s.value or 0.0 for cell in shown))
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        left.yaxis.set_minor_locator(NullLocator())
        left.set_xlim(0)
        heading(left, "p95 to acknowledgement, ms")
        heading(right, "verified uploads per second")
        for axes in (left, right):
            axes.set_xlabel("offered, % of capacity")
        drawn.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, "offers")
    values = "; ".join(
        f"{arms.name(cell.arm)} at {percent(cell.share)}: {waited(cell.acked_p95.ms)}" for cell in shown
    )
    return Chart(
        "offers",
        "What if more arrive than fit",
        "Arrivals wait for nobody. Dotted: what is offered. Thin lines are 95 % intervals; the waits are "
        "those of uploads that were acknowledged.",
        f"p95 to acknowledgement by offered rate: {values}",
        svg,
    )
