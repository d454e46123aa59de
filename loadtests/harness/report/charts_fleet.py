"""The chart of a fleet: downloads per second, and how long one takes, by clients at once."""

from __future__ import annotations

from loadtests.harness.records.result import Fleet
from loadtests.harness.report.charts import Arms, Chart, curve, figure, heading, marks, to_svg
from loadtests.harness.wording import size, with_interval


def fleet(arms: Arms, found: Fleet) -> Chart | None:
    """A line for each arm in both panels."""
    shown = [cell for cell in found.cells if cell.downloads_per_s.value is not None]
    if not shown:
        return None
    with figure(5.2, rows=2) as (drawn, (rates, waits)):
        for arm in dict.fromkeys(cell.arm for cell in shown):
            own = [cell for cell in shown if cell.arm == arm]
            took = [(cell.clients, cell.took_p95.ms) for cell in own if cell.took_p95.ms.value is not None]
            for axes, points in (
                (rates, [(cell.clients, cell.downloads_per_s) for cell in own]),
                (waits, took),
            ):
                curve(axes, points, arms.colour(arm), arms.name(arm))
        for axes in (rates, waits):
            axes.set_xscale("log", base=2)
            marks(axes.xaxis, sorted({cell.clients for cell in shown}))
            axes.set_ylim(0)
        waits.set_xlabel("clients at once")
        heading(rates, "verified downloads per second")
        heading(waits, "95 of 100 downloads take at most, ms")
        drawn.legend(*rates.get_legend_handles_labels(), loc="outside upper left", ncols=2, handlelength=1.4)
        svg = to_svg(drawn, "fleet")
    values_shown = "; ".join(
        f"{arms.name(cell.arm)} with {cell.clients}: {with_interval(cell.downloads_per_s)}" for cell in shown
    )
    return Chart(
        "fleet",
        "Downloads by the size of the fleet",
        f"All clients download one file of {size(found.file_size_bytes)}. Where the upper lines run flat, "
        "more clients only wait longer: the lower lines rise. Upright lines are 95 % intervals, of rates "
        "over rounds.",
        f"Verified downloads per second by clients at once: {values_shown}",
        svg,
    )
