"""What a plan learns while it runs: where the ramp may end, and how many VUs saturate."""

from __future__ import annotations

from collections.abc import Mapping

MIN_LEVELS = 4
DEFAULT_FIRST = 4  # VUs that fill an arm, where no ramp has told


def saturating_vus(goodput: Mapping[str, Mapping[int, float]], *, tolerance: float = 0.15) -> int:
    """VUs that should saturate every arm: four times the first level within ``tolerance`` of its arm's best,
    and no more than the ramp has tried.

    Four times, because the proof must then find nothing more to gain in spite of the machine's noise; the
    best of several levels owes a part to it, hence the tolerance. ``goodput`` holds uploads per second by
    arm and VUs. At least 8: below, one slow request is felt.
    """
    firsts = [
        min(vus for vus, rate in levels.items() if rate >= (1 - tolerance) * max(levels.values()))
        for levels in goodput.values()
        if levels
    ]
    tried = max((vus for levels in goodput.values() for vus in levels), default=4 * DEFAULT_FIRST)
    return max(8, min(4 * max(firsts, default=DEFAULT_FIRST), tried))


def likely_upload_s(vus: int, goodput: Mapping[str, Mapping[int, float]]) -> float:
    """Seconds an upload of the slowest arm takes at ``vus`` once it is saturated, by Little's law; 0 when
    no ramp was run."""
    best = [max(levels.values()) for levels in goodput.values() if levels]
    return vus / min(best) if best else 0.0


def past_knee(goodput: Mapping[int, float], *, gain: float = 0.05, steps: int = 2) -> bool:
    """Whether the last ``steps`` steps of a ramp each gained less than ``gain`` over the best before.

    One step of a few seconds may fail to gain by chance; two in a row end the ramp, and no ramp ends
    before four levels: at the lowest ones a passing disturbance weighs most.
    """
    levels = sorted(goodput)
    if len(levels) < max(MIN_LEVELS, steps + 1):
        return False
    best_before = max(goodput[level] for level in levels[:-steps])
    return all(goodput[level] < best_before * (1 + gain) for level in levels[-steps:])
