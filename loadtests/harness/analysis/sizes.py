"""From which file size on which arm is faster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from loadtests.harness.comparison import compare, rule_of
from loadtests.harness.periods import Block
from loadtests.harness.records.plan import Arm, Part, PartKind, Plan
from loadtests.harness.records.result import Comparison, Size, Sizes, Verdict, evidence_id


def sizes(plan: Plan, blocks: Mapping[str, Sequence[Block]], main: Comparison | None) -> Sizes | None:
    """Every size that was compared, smallest first, the main comparison's own among them; None if none was
    compared beside it."""
    found: dict[int, Comparison] = {}
    for part in plan.parts:
        if part.kind is PartKind.SIZES and (own := blocks.get(part.name)):
            found |= _by_size(plan, part, own)
    if not found:
        return None
    main_sizes = {result.arm.file_size_bytes for result in main.arms} if main else set()
    if main and len(main_sizes) == 1:
        found.setdefault(main_sizes.pop(), main)
    ordered = tuple(Size(file_size_bytes=size, comparison=found[size]) for size in sorted(found))
    return Sizes(id="sizes", sizes=ordered, crossovers=crossovers(ordered))


def _by_size(plan: Plan, part: Part, blocks: Sequence[Block]) -> dict[int, Comparison]:
    arms: dict[int, list[Arm]] = {}
    for arm in part.arms:
        arms.setdefault(arm.file_size_bytes, []).append(arm)
    return {
        size: compare(part, own, blocks, rule_of(plan, part), evidence_id(part.name, str(size)))
        for size, own in arms.items()
    }


def crossovers(ordered: Iterable[Size]) -> tuple[tuple[str, str, int, int], ...]:
    """(faster below, faster above, size below, size above) wherever two arms change places, each shown."""
    shown: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for size in ordered:
        for pair, faster in _faster(size.comparison).items():
            shown.setdefault(pair, []).append((size.file_size_bytes, faster))
    return tuple(
        (before, after, below, above)
        for places in shown.values()
        for (below, before), (above, after) in pairwise(places)
        if before != after
    )


def _faster(comparison: Comparison) -> dict[tuple[str, ...], str]:
    """The faster of each pair of arms of the question where a winner is named."""
    of = {result.arm.name: result.arm.of for result in comparison.arms}
    return {
        tuple(sorted((of[r.base], of[r.arm]))): of[r.arm if r.verdict is Verdict.MORE else r.base]
        for r in comparison.ratios
        if r.metric == "uploads_per_s" and r.winner_named
    }
