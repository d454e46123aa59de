"""Turns are balanced in every block, and a seed says all about them."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.harness.order import blocks_of, calm_after, in_turns, places_moved, turns_per_block
from loadtests.harness.records.plan import Arm, Part, PartKind

pytestmark = pytest.mark.unit

NAMES = ("a", "b", "c", "d", "e")


def part(arms: int, kind: PartKind = PartKind.COMPARE, name: str = "p") -> Part:
    made = tuple(
        Arm(
            name=one,
            of=one,
            title=one,
            colour="#000000",
            strategy="s",
            file_size_bytes=1,
            piece_bytes=1,
            vus=1,
        )
        for one in NAMES[:arms]
    )
    return Part(name=name, kind=kind, arms=made, period_s=3.0, washout_s=0.7, first_blocks=1, most_blocks=9)


def test_two_arms_take_turns_as_abba_or_baab() -> None:
    blocks = list(islice(blocks_of(part(2), seed=7), 40))
    assert set(blocks) == {("a", "b", "b", "a"), ("b", "a", "a", "b")}


@given(arms=st.integers(1, 5), seed=st.integers(0, 1000))
def test_every_arm_has_the_same_mean_place_in_a_block(arms: int, seed: int) -> None:
    one = part(arms)
    (block,) = islice(blocks_of(one, seed), 1)
    assert len(block) == turns_per_block(one) == 2 * arms
    assert set(Counter(block).values()) == {2}
    for name in set(block):
        first, last = (at for at, other in enumerate(block) if other == name)
        assert first + last == len(block) - 1


def test_every_order_of_the_arms_is_drawn_about_equally_often() -> None:
    drawn = Counter(block[:3] for block in islice(blocks_of(part(3), seed=1), 6000))
    assert len(drawn) == 6
    assert all(850 < count < 1150 for count in drawn.values())


@pytest.mark.parametrize("kind", [PartKind.LEVELS, PartKind.SIZES])
def test_a_round_visits_every_arm_once(kind: PartKind) -> None:
    one = part(5, kind)
    blocks = list(islice(blocks_of(one, seed=3), 20))
    assert all(sorted(block) == sorted(NAMES) for block in blocks)
    assert turns_per_block(one) == 5
    assert len(set(blocks)) > 10


def test_levels_of_an_arm_stand_together_up_or_down_each_by_a_toss_of_its_own() -> None:
    levels = tuple(
        arm.model_copy(update={"name": f"{arm.name} {vus} VU", "vus": vus})
        for vus in (3, 16, 32)
        for arm in part(2).arms
    )
    own = part(2, PartKind.LEVELS).model_copy(update={"arms": levels})
    ramps = {name: tuple(f"{name} {vus} VU" for vus in (3, 16, 32)) for name in "ab"}
    either = {
        one + other
        for first, second in ("ab", "ba")
        for one in (ramps[first], ramps[first][::-1])
        for other in (ramps[second], ramps[second][::-1])
    }
    drawn = Counter(islice(blocks_of(own, seed=4), 4000))
    assert set(drawn) == either and len(either) == 8
    assert all(400 < count < 600 for count in drawn.values())
    assert turns_per_block(own) == 6


def test_behind_an_overload_comes_the_calm_of_the_same_arm() -> None:
    arms = tuple(
        arm.model_copy(update={"name": f"{arm.name} {share}", "of_capacity": share})
        for arm in part(2).arms
        for share in (0.8, 1.5, 3.0)
    )
    offered = part(2, PartKind.RATES).model_copy(update={"arms": arms})
    assert calm_after(offered) == {"a 3.0": "a 0.8", "b 3.0": "b 0.8"}
    for block in islice(blocks_of(offered, seed=5), 20):
        assert sorted(block) == sorted(arm.name for arm in arms)
        assert all(block[block.index(f"{one} 3.0") + 1] == f"{one} 0.8" for one in "ab")
    near = offered.model_copy(update={"arms": tuple(arm for arm in arms if arm.of_capacity != 3.0)})
    assert calm_after(near) == {}, "a rate near the limit is no overload"


def test_a_seed_gives_a_part_the_same_turns_every_time() -> None:
    def drawn(seed: int, name: str = "p") -> list[tuple[str, ...]]:
        return list(islice(blocks_of(part(3, name=name), seed), 10))

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(7) != drawn(7, "another part")


def test_blocks_are_numbered_from_where_the_part_had_come() -> None:
    assert in_turns([("a", "b"), ("b", "a")], 5) == (("a", "b", "b", "a"), (5, 5, 6, 6))


@given(seed=st.integers(0, 1000), stacks=st.integers(1, 5))
def test_each_stack_has_each_place_once_in_so_many_makings_as_there_are_stacks(
    seed: int, stacks: int
) -> None:
    moved = [places_moved(instance, seed, stacks) for instance in range(3 * stacks)]
    assert moved[0] == 0, "the first making is as it was started"
    for group in range(3):
        assert sorted(moved[group * stacks : (group + 1) * stacks]) == list(range(stacks))


def test_which_of_two_makings_is_moved_is_drawn() -> None:
    assert len({tuple(places_moved(instance, seed, 2) for instance in range(6)) for seed in range(50)}) == 4
