"""Where the axes of a panel have their marks: at round times, and at round numbers of bytes."""

from __future__ import annotations

from matplotlib.ticker import Locator, MaxNLocator, MultipleLocator

from grafana.model import Unit

MARKS = 5
TIMES_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
MOST_TIMES = 7


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
