"""Whose turn comes when: blocks of balanced turns, drawn from a seed. Pure.

A block of two arms is ABBA or BAAB; of more arms, a drawn order forth and back. Every arm then has two turns
in every block with the same mean place, so that a drift that is even over the block touches all arms alike
(Bulej and others, ICPE 2020; crossover trials). Levels, sizes and the warm-up take rounds instead: every arm
once, in a drawn order, as there are too many of them to go back and forth.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from loadtests.harness.records.plan import Part, PartKind

ROUNDS = frozenset({PartKind.WARM_UP, PartKind.LEVELS, PartKind.SIZES})


def turns_per_block(part: Part) -> int:
    """Periods in one block, or in one round, of a part."""
    return len(part.arms) * (1 if part.kind in ROUNDS else 2)


def blocks_of(part: Part, seed: int) -> Iterator[tuple[str, ...]]:
    """Blocks of arm names without an end; the same seed gives the same blocks to the same part."""
    draw = random.Random(f"{seed}/{part.name}")
    names = [arm.name for arm in part.arms]
    while True:
        forth = tuple(draw.sample(names, len(names)))
        yield forth if part.kind in ROUNDS else forth + forth[::-1]


def swapped(instance: int, seed: int) -> bool:
    """Whether the stacks of a making change their places. Of every two makings one has them swapped, so that
    a place of its own (ports, files on the disk) favours no arm; the first making is as it was started."""
    couple, second = divmod(instance, 2)
    first_swapped = couple > 0 and random.Random(f"{seed}/places/{couple}").random() < 0.5
    return first_swapped != bool(second)


def in_turns(blocks: Sequence[tuple[str, ...]], first: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Blocks one after another: the arm of every period, and the number of its block, from ``first`` on."""
    order = tuple(name for block in blocks for name in block)
    numbers = tuple(first + at for at, block in enumerate(blocks) for _ in block)
    return order, numbers
