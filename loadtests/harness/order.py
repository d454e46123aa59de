"""Whose turn comes when: blocks of balanced turns, drawn from a seed. Pure.

A block of two arms is ABBA or BAAB; of more arms, a drawn order forth and back. Every arm then has two turns
in every block with the same mean place, so that a drift that is even over the block touches all arms alike
(Bulej and others, ICPE 2020; crossover trials). Levels, rates, sizes, kills, crowds, fleets and the warm-up
take rounds instead: every arm once, in a drawn order, as there are too many of them to go back and forth.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from loadtests.harness.records.plan import Arm, Part, PartKind

FAR = 2.0  # times what fits: an overload, and not a rate near the limit
FORTH_AND_BACK = (PartKind.COMPARE, PartKind.NEIGHBOURS)


def turns_per_block(part: Part) -> int:
    """Periods in one block, or in one round, of a part."""
    return len(part.arms) * (2 if part.kind in FORTH_AND_BACK else 1)


def blocks_of(part: Part, seed: int) -> Iterator[tuple[str, ...]]:
    """Blocks of arm names without an end; the same seed gives the same blocks to the same part."""
    draw, behind = random.Random(f"{seed}/{part.name}"), calm_after(part)
    if part.kind is PartKind.LEVELS:
        yield from _ramps(part, draw)
        return
    names = [arm.name for arm in part.arms if arm.name not in behind.values()]
    while True:
        drawn = draw.sample(names, len(names))
        forth = tuple(name for one in drawn for name in (one, behind.get(one)) if name is not None)
        yield forth + forth[::-1] if part.kind in FORTH_AND_BACK else forth


def _ramps(part: Part, draw: random.Random) -> Iterator[tuple[str, ...]]:
    """Rounds in which the levels of an arm stand together, up or down by a toss.

    A level is compared with the next one, so these two have neighbouring turns. Every arm has a toss of its
    own in every round: by chance what the machine does meanwhile is then for or against more clients, so that
    the errors of all arms and rounds do not go together, and each gain counts as a unit.
    """
    levels = {of: [arm.name for arm in own] for of, own in levels_by_arm(part.arms).items()}
    while True:
        drawn = draw.sample(list(levels), len(levels))
        yield tuple(name for of in drawn for name in levels[of][:: draw.choice((1, -1))])


def levels_by_arm(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    """Levels of each arm of the question, fewest VUs first."""
    found: dict[str, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.vus):
        found.setdefault(arm.of, []).append(arm)
    return found


def calm_after(part: Part) -> dict[str, str]:
    """Where far more is offered than fits: by the turn of an arm's highest rate the one that comes right
    behind it, that of its lowest. So every round shows once how the arm gets over it."""
    by_arm: dict[str, dict[float, str]] = {}
    for arm in part.arms:
        if arm.of_capacity is not None:
            by_arm.setdefault(arm.of, {})[arm.of_capacity] = arm.name
    return {own[max(own)]: own[min(own)] for own in by_arm.values() if min(own) <= 1 and max(own) >= FAR}


def places_moved(instance: int, seed: int, stacks: int) -> int:
    """By how many places the stacks of a making are moved on. Of every so many makings as there are stacks,
    each stack has each place once, in drawn order, so that a place of its own (ports, files on the disk)
    favours no arm; the first making is as it was started."""
    group, at = divmod(instance, stacks)
    draw = random.Random(f"{seed}/places/{group}")
    if group == 0:
        return [0, *draw.sample(range(1, stacks), stacks - 1)][at]
    return draw.sample(range(stacks), stacks)[at]


def in_turns(blocks: Sequence[tuple[str, ...]], first: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Blocks one after another: the arm of every period, and the number of its block, from ``first`` on."""
    order = tuple(name for block in blocks for name in block)
    numbers = tuple(first + at for at, block in enumerate(blocks) for _ in block)
    return order, numbers
