"""What slow clients cost gateway and upload: memory and processor time by how many there are at once.

A turn is the unit. Each arm has processes of its own and meets the fewest clients first, so that memory which
a process keeps after a larger load is nobody else's and nobody's before. What others wait meanwhile is judged
as it is beside any uploads, in ``latency``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtests.harness import cost
from loadtests.harness.comparison import rate_of
from loadtests.harness.intervals import NOTHING, mean_of
from loadtests.harness.periods import Period
from loadtests.harness.records.plan import Arm, Part
from loadtests.harness.records.result import AtOnce, Beside, Crowd, Held, Interval, evidence_id

PASSED = ("gateway", "upload")  # the services that a proxied file passes


def crowd(
    arms: Sequence[Arm],
    parts: Sequence[Part],
    periods: Mapping[str, Sequence[Period]],
    beside: Mapping[str, Beside],
) -> Crowd | None:
    """Every arm with every number of clients, arm by arm; None where nothing was played.

    ``arms`` are the question's, ``periods`` are by part, ``beside`` by the arm of a part.
    """
    turns = {
        (arm.of, arm.vus): (arm, own)
        for part in sorted(parts, key=lambda part: part.arms[0].vus)
        for arm in part.arms
        if (own := [period for period in periods.get(part.name, ()) if period.arm == arm.name])
    }
    if not turns:
        return None
    by_arm = [[turns[key] for key in turns if key[0] == arm.name] for arm in arms]
    return Crowd(
        arms=tuple(arms),
        file_size_bytes=arms[0].file_size_bytes,
        cells=tuple(_cell(arm, own, beside.get(arm.name)) for levels in by_arm for arm, own in levels),
        held=tuple(_held(levels) for levels in by_arm if levels),
    )


def fullest(found: Crowd) -> tuple[AtOnce, ...]:
    """The cells with the most clients that there were."""
    most = max(cell.clients for cell in found.cells)
    return tuple(cell for cell in found.cells if cell.clients == most)


def _cell(arm: Arm, own: Sequence[Period], beside: Beside | None) -> AtOnce:
    units = [(period,) for period in own]
    return AtOnce(
        id=evidence_id("crowd", arm.name),
        arm=arm.of,
        clients=arm.vus,
        most_bytes=_mean([_most_bytes(period, arm) for period in own]),
        mean_bytes=_mean([_bytes_of(period.mean_rss_bytes, arm, PASSED) for period in own]),
        most_by_process={
            name: _mean([_bytes_of(period.peak_rss_bytes, arm, (name,)) for period in own]) for name in PASSED
        },
        uploads_per_s=rate_of(units),
        cpu_s_per_upload=cost.cpu_per_upload(units, arm),
        cpu_s_by_process=cost.cpu_by_process(units, arm),
        beside=beside,
    )


def _most_bytes(period: Period, arm: Arm) -> float | None:
    return _bytes_of(period.peak_rss_bytes, arm, PASSED)


def _bytes_of(watched: Mapping[str, int], arm: Arm, names: Sequence[str]) -> float | None:
    """None where one of them was not looked at."""
    held = cost.held_bytes(watched, arm)
    return float(sum(held[name] for name in names)) if all(name in held for name in names) else None


def _mean(values: Sequence[float | None]) -> Interval:
    return mean_of([value for value in values if value is not None])


def _held(levels: Sequence[tuple[Arm, Sequence[Period]]]) -> Held:
    """From the fewest clients to the most, turn by turn in the order run."""
    (few, before), (many, after) = levels[0], levels[-1]
    more_bytes = (many.vus - few.vus) * many.file_size_bytes
    grown = [
        above - below
        for period, later in zip(before, after, strict=False)
        if (below := _most_bytes(period, few)) is not None and (above := _most_bytes(later, many)) is not None
    ]
    share = mean_of([each / more_bytes for each in grown]) if more_bytes else NOTHING
    return Held(arm=few.of, share=share)
