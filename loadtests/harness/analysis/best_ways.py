"""The map of a run: which way is the fastest at which file size and which distance."""

from __future__ import annotations

from loadtests.harness.records.plan import Arm
from loadtests.harness.records.result import Comparison, Result
from loadtests.harness.verdict import best_of


def best_ways(result: Result) -> dict[tuple[int, int], Arm | None]:
    """By file size (bytes) and round trip (ms) the arm that is shown to be faster than every other one there;
    None where none is."""
    rtt_ms = int(result.conditions.get("rtt_ms") or 0)
    sized = [one.comparison for one in result.sizes.sizes] if result.sizes else []
    main = [result.compare] if result.compare else []
    cells: dict[tuple[int, int], Arm | None] = {}
    for comparison in sized or main:
        cells |= _cells(comparison, rtt_ms)
    return cells


def _cells(comparison: Comparison, rtt_ms: int) -> dict[tuple[int, int], Arm | None]:
    """Of arms in several networks, those of one network by themselves."""
    groups: dict[tuple[int, int], dict[str, Arm]] = {}
    for one in comparison.arms:
        own_ms = int(one.arm.asked.get("RTT_MS", rtt_ms))
        groups.setdefault((one.arm.file_size_bytes, own_ms), {})[one.arm.name] = one.arm
    found: dict[tuple[int, int], Arm | None] = {}
    for cell, arms in groups.items():
        if len(arms) > 1:
            ratios = [one for one in comparison.ratios if {one.base, one.arm} <= arms.keys()]
            found[cell] = arms.get(best_of(list(arms), ratios) or "")
    return found
