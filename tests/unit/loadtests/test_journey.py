"""Journeys: GoVault's shapes, scaled, with equal pauses."""

from __future__ import annotations

import pytest

from loadtests.harness.commands.journey import UnknownShape, make_journey
from loadtests.harness.planning.strategies import load_strategies

pytestmark = pytest.mark.unit


def test_a_shape_is_scaled_and_pauses_are_equal() -> None:
    chosen = make_journey("stress", {"SCALE": "0.2"}, load_strategies())
    assert list(chosen.stages) == [(60, 50), (60, 100), (60, 150), (120, 200), (60, 0)]
    plan = chosen.plan()
    assert [trial.arm for trial in plan.trials] == ["proxy-chunked", "direct-multipart"]
    assert {trial.load.think_s for trial in plan.trials} == {2.0}
    assert plan.requests_per_flow == {"proxy-chunked": 4, "direct-multipart": 6}


def test_the_default_is_a_tenth() -> None:
    assert make_journey("spike", {}, load_strategies()).peak_vus == 200


def test_an_unknown_shape_lists_the_known_ones() -> None:
    with pytest.raises(UnknownShape, match="load, stress, spike"):
        make_journey("wave", {}, load_strategies())
