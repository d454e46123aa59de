"""A load that goes to more VUs and back several times: written by the plan, read by the analysis."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.harness.records.model import Load


def switchback(base: Load, more_vus: int, *, switches: int, hold_s: float) -> Load:
    """``base``'s VUs and ``more_vus`` by turns of ``hold_s``, after the warm-up; switches take no time."""
    vus = base.vus or 1
    levels = [vus, *[more_vus, vus] * switches]
    stages = [stage for level in levels for stage in ((0.0, level), (hold_s, level))]
    stages[1] = (base.warmup_s + hold_s, vus)
    return base.model_copy(update={"executor": "ramping-vus", "window_s": 0.0, "stages": tuple(stages)})


def holds(load: Load) -> Iterator[tuple[int, float, float]]:
    """``(VUs, from, to)`` of every stage that keeps its VUs, in seconds from the load's start; the warm-up is
    cut off the first one."""
    level, at = 0, 0.0
    for seconds, target in load.stages:
        begin = max(at, load.warmup_s)
        at += seconds
        if target == level and at > begin:
            yield target, begin, at
        level = target


def level_of(load: Load) -> str:
    """The label of a level."""
    if load.rate_per_s is not None:
        return f"{load.rate_per_s:g} uploads/s"
    if load.vus is None:
        return "no uploads"
    levels = dict.fromkeys(vus for vus, _, _ in holds(load)) or [load.vus]
    return f"{' and '.join(map(str, levels))} VU"
