"""The knee as a range, how often a run of ci finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from loadtests.harness.knee import common_knee, ends_of, knees, step
from loadtests.harness.order import blocks_of, levels_by_arm, turns_per_block
from loadtests.harness.periods import Block, Samples, whole_blocks
from loadtests.harness.records.plan import Part, PartKind
from loadtests.harness.records.result import Interval, Knee, Step
from loadtests.simulation import (
    SEED,
    Disturbance,
    Floats,
    Load,
    autoregressive,
    drift,
    independent,
    outliers,
    periodic,
    wandering,
)
from tests.unit.loadtests.switchback import World, arm, part
from tests.unit.loadtests.test_question import stress

pytestmark = pytest.mark.unit


def played(
    rates: Mapping[str, Mapping[int, float]], rounds: int, noise: float
) -> tuple[Part, tuple[Block, ...]]:
    """Levels by arm and VUs."""
    named = {(name, vus): rate for name, own in rates.items() for vus, rate in own.items()}
    arms = [arm(f"{name} {vus} VU", of=name, vus=vus) for name, vus in named]
    own = part(*arms, name="levels", kind=PartKind.LEVELS)
    world = World(rates={f"{name} {vus} VU": rate for (name, vus), rate in named.items()}, noise=noise)
    world.play(own, rounds)
    periods = Samples(world.uploads, world.looks).periods(own, world.stretches)
    return own, whole_blocks(periods, world.stretches)


def knee(rates: Mapping[int, float], *, rounds: int = 6, noise: float = 0.01) -> Knee:
    """Levels of one arm by their VUs."""
    (found,) = knees(*played({"A": rates}, rounds, noise))
    return found


class TestKnee:
    def test_lies_between_the_last_gain_and_the_first_level_without_one(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 50.0, 24: 50.0, 32: 49.0})
        assert (found.low_vus, found.high_vus, found.reached) == (8, 16, True)
        assert [level.vus for level in found.levels] == [4, 8, 16, 24, 32]
        assert found.levels[2].uploads_per_s.value == pytest.approx(50.0, rel=0.03)

    def test_a_small_gain_does_not_matter_even_where_it_is_shown(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 50.0, 24: 51.2, 32: 51.2}, noise=0.002)
        assert (found.low_vus, found.high_vus) == (8, 16)

    def test_an_arm_that_still_gains_has_a_lower_end_only(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 80.0})
        assert (found.low_vus, found.high_vus, found.reached, found.why_not) == (8, None, False, None)

    def test_an_arm_that_never_gains_has_an_upper_end_only(self) -> None:
        found = knee({8: 40.0, 16: 40.0, 24: 40.0})
        assert (found.low_vus, found.high_vus, found.reached, found.why_not) == (None, 8, False, None)

    def test_few_rounds_or_levels_say_nothing(self) -> None:
        assert (
            knee({4: 20.0, 8: 40.0, 16: 40.0}, rounds=4).why_not == "4 rounds were measured, and it takes 5"
        )
        assert knee({4: 20.0, 8: 40.0}).why_not == "fewer than 3 numbers of clients were tried"


class TestCommonKnee:
    def test_every_gain_of_every_arm_is_a_unit(self) -> None:
        same = {4: 20.0, 8: 40.0, 16: 40.0}
        found = common_knee(*played({"A": same, "B": same}, 6, 0.01))
        assert (found.id, found.low_vus, found.high_vus, found.why_not) == ("knee", 4, 8, None)
        assert [(one.vus, one.more_vus, one.gain.n) for one in found.steps] == [(4, 8, 12), (8, 16, 12)]
        assert [one.matters for one in found.steps] == [True, False]

    def test_arms_of_which_one_gains_and_one_does_not_have_none_in_common(self) -> None:
        own, blocks = played({"A": {4: 40.0, 8: 40.0, 16: 40.0}, "B": {4: 30.0, 8: 40.0, 16: 56.0}}, 6, 0.01)
        found = common_knee(own, blocks)
        assert (found.low_vus, found.high_vus) == (None, None)
        assert found.why_not == "neither a gain of 10 % nor its absence was shown"
        assert [(one.low_vus, one.high_vus) for one in knees(own, blocks)] == [(None, 4), (8, None)]


def steps(*matters: bool | None) -> list[Step]:
    """Of 1, 2, 4, ... clients."""
    gain = Interval(n=9, value=1.1)
    return [Step(vus=2**at, more_vus=2 ** (at + 1), gain=gain, matters=one) for at, one in enumerate(matters)]


@pytest.mark.parametrize(
    ("matters", "low", "high"),
    [
        ((True, True, False, False), 2, 4),
        ((True, None, False, False), 1, 4),
        ((True, False, True, False), 4, 8),  # it gained once more
        ((True, False, None), 1, None),  # the last step may matter: no end below it
        ((None, False, None, False), None, 8),
        ((False, False), None, 1),
        ((None, None), None, None),
    ],
)
def test_the_upper_end_is_one_from_which_on_no_step_matters(
    matters: Sequence[bool | None], low: int | None, high: int | None
) -> None:
    assert ends_of(steps(*matters)) == (low, high)


# -- how often a run of ci says until when: simulated, in the order and with the numbers of the question

Turns = NDArray[np.int64]
RUNS = 2000
CI = next(one for one in stress().parts if one.kind is PartKind.LEVELS)
WAYS = list(levels_by_arm(CI.arms).values())
FEWEST, MIDDLE, MOST = (level.vus for level in WAYS[0])
USUAL = (0.76, 0.96, 1.0)  # rates at the levels, as on two cores: gains of 26 and 4 %
SCENES: dict[str, Disturbance] = {
    "independent noise": independent(0.065),
    "drift of 60 %": drift,
    "random walk, 3 % a turn": wandering,
    "AR(1), 0.5 from turn to turn": autoregressive(0.5),
    "AR(1), 0.9 from turn to turn": autoregressive(0.9),
    "a wave of 10 %": periodic(5.0),
    "outliers: 1 turn in 30 loses half": outliers,
}


@pytest.fixture(scope="module")
def turns() -> Turns:
    """When each level of each way had its turn: runs x rounds x ways x levels."""
    spots = {level.name: (way, at) for way, own in enumerate(WAYS) for at, level in enumerate(own)}
    found = np.empty((RUNS, CI.first_blocks, len(WAYS), len(WAYS[0])), dtype=np.int64)
    for run in range(RUNS):
        for number, block in enumerate(islice(blocks_of(CI, run), CI.first_blocks)):
            for at, name in enumerate(block):
                found[(run, number, *spots[name])] = number * len(block) + at
    return found


def simulated(
    turns: Turns, disturb: Disturbance, rates: Sequence[float], ways: int | None = None
) -> list[list[Step]]:
    """The steps that each run finds with so many of the ways, or with all."""
    nobody = np.zeros((RUNS, CI.first_blocks * turns_per_block(CI)), dtype=np.int64)  # whose turn: no matter
    noise: Floats = disturb(Load(nobody, np.random.default_rng(SEED)))
    seen = np.take_along_axis(noise, turns.reshape(RUNS, -1), axis=1).reshape(turns.shape) + np.log(rates)
    gains = np.diff(seen[:, :, :ways], axis=3)
    clients = list(pairwise((FEWEST, MIDDLE, MOST)))
    return [
        [step(vus, more, run[..., at].ravel().tolist()) for at, (vus, more) in enumerate(clients)]
        for run in gains
    ]


def share(cases: Iterable[bool]) -> float:
    return float(np.mean(list(cases)))


def test_the_levels_of_ci_take_a_minute_of_turns() -> None:
    assert CI.first_blocks * turns_per_block(CI) * CI.period_s <= 60
    assert (FEWEST, MIDDLE, MOST) == (3, 16, 32), "what the comment in the question's file says"


@pytest.mark.parametrize(("spread", "least"), [(0.04, 0.95), (0.065, 0.65), (0.09, 0.38)])
def test_how_often_both_ends_are_shown(turns: Turns, spread: float, least: float) -> None:
    """By the spread of a block's log ratio; calculated are 0.99, 0.73 and 0.46 for the upper end."""
    found = [ends_of(run) for run in simulated(turns, independent(spread), USUAL)]
    assert share(low == FEWEST for low, _ in found) >= 0.98
    assert share(high == MIDDLE for _, high in found) >= least


def test_a_way_by_itself_would_seldom_show_its_upper_end(turns: Turns) -> None:
    found = [ends_of(run) for run in simulated(turns, independent(0.065), USUAL, ways=1)]
    assert share(high == MIDDLE for _, high in found) <= 0.4


@pytest.mark.parametrize("name", SCENES)
def test_a_gain_of_just_the_limit_is_seldom_taken_for_more_or_less(turns: Turns, name: str) -> None:
    """Each end is wrong in one of forty runs by design."""
    end_too_low = [ends_of(run) for run in simulated(turns, SCENES[name], (0.5, 0.8, 0.88))]
    assert share(high == MIDDLE for _, high in end_too_low) <= 0.045
    begin_too_high = [ends_of(run) for run in simulated(turns, SCENES[name], (0.8, 0.88, 0.89))]
    assert share(low == FEWEST for low, _ in begin_too_high) <= 0.045


@pytest.mark.parametrize("name", SCENES)
def test_the_interval_holds_the_gain(turns: Turns, name: str) -> None:
    truth = USUAL[2] / USUAL[1]
    last = [run[-1].gain for run in simulated(turns, SCENES[name], USUAL)]
    assert share((one.low or 0.0) <= truth <= (one.high or 0.0) for one in last) >= 0.93
