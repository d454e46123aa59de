"""The knee as a range, and the proof of saturation."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from loadtests.harness.knee import knees, saturations
from loadtests.harness.periods import Samples, whole_blocks
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Knee, Saturation
from tests.unit.loadtests.switchback import World, arm, part

pytestmark = pytest.mark.unit


def knee(rates: Mapping[int, float], *, rounds: int = 6, noise: float = 0.01) -> Knee:
    """Levels of one arm by their VUs."""
    arms = [arm(f"A {vus} VU", of="A", vus=vus) for vus in rates]
    own = part(*arms, name="levels", kind=PartKind.LEVELS)
    world = World(rates={f"A {vus} VU": rate for vus, rate in rates.items()}, noise=noise)
    world.play(own, rounds)
    periods = Samples(world.uploads, world.looks).periods(own, world.stretches)
    (found,) = knees(own, whole_blocks(periods, world.stretches))
    return found


class TestKnee:
    def test_lies_between_the_last_gain_and_the_first_level_without_one(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 50.0, 24: 50.0, 32: 49.0})
        assert (found.low_vus, found.high_vus, found.reached) == (8, 16, True)
        assert [level.vus for level in found.levels] == [4, 8, 16, 24, 32]
        assert found.levels[2].uploads_per_s.value == pytest.approx(50.0, rel=0.03)

    def test_a_small_gain_that_is_shown_moves_its_upper_end(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 50.0, 24: 51.2, 32: 51.2}, noise=0.002)
        assert (found.low_vus, found.high_vus) == (8, 24)

    def test_an_arm_that_still_gains_has_none(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 80.0})
        assert (found.reached, found.high_vus) == (False, None)
        assert found.why_not == "a gain up to 16, the most tried, is not ruled out"

    def test_noise_that_hides_the_end_leaves_none(self) -> None:
        found = knee({4: 20.0, 8: 40.0, 16: 50.0, 24: 50.0}, noise=0.2)
        assert not found.reached

    def test_without_a_gain_there_is_nothing_to_end(self) -> None:
        found = knee({8: 40.0, 16: 40.0, 24: 40.0})
        assert found.why_not == "no gain beyond 8, the fewest tried, was shown"

    def test_few_rounds_or_levels_say_nothing(self) -> None:
        assert (
            knee({4: 20.0, 8: 40.0, 16: 40.0}, rounds=4).why_not == "4 rounds were measured, and it takes 5"
        )
        assert knee({4: 20.0, 8: 40.0}).why_not == "fewer than 3 numbers of clients were tried"


class TestSaturation:
    def prove(self, rate: float, more_rate: float, more_vus: int = 12) -> Saturation:
        own = part(
            arm("A", vus=8), arm("A more", of="A", vus=more_vus), name="saturation", kind=PartKind.SATURATION
        )
        world = World(rates={"A": rate, "A more": more_rate}, noise=0.02)
        world.play(own, 6)
        periods = Samples(world.uploads, world.looks).periods(own, world.stretches)
        (found,) = saturations([own], {"saturation": whole_blocks(periods, world.stretches)}, 0.10)
        return found

    def test_more_clients_gain_nothing(self) -> None:
        found = self.prove(40.0, 40.0)
        assert (found.arm, found.vus, found.more_vus, found.proven) == ("A", 8, 12, True)

    def test_more_clients_gain(self) -> None:
        found = self.prove(40.0, 56.0)
        assert not found.proven
        assert found.gain.value == pytest.approx(1.4, rel=0.05)

    def test_hardly_more_clients_prove_nothing(self) -> None:
        assert not self.prove(40.0, 40.0, more_vus=9).proven
