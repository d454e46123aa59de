"""Journeys: GoVault's shapes, scaled, with equal pauses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.harness.analysis.facts import read_facts
from loadtests.harness.analysis.guards_run import run_warnings
from loadtests.harness.commands.journey import UnknownShape, make_journey
from loadtests.harness.planning.overrides import OverrideError
from loadtests.harness.strategies import load_strategies
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import Severity
from tests.unit.loadtests import fabricate as make

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


def test_pauses_of_the_seed_differ_and_none_are_none() -> None:
    seed = make_journey("load", {"SLEEPS": "seed"}, load_strategies()).plan()
    assert [trial.load.think_s for trial in seed.trials] == [2.0, 2.0]
    assert [trial.load.complete_pause_s for trial in seed.trials] == [0.0, 0.2]
    none = make_journey("load", {"SLEEPS": "none"}, load_strategies()).plan()
    assert {trial.load.think_s + trial.load.complete_pause_s for trial in none.trials} == {0.0}


def test_unequal_pauses_are_said(tmp_path: Path) -> None:
    plan = make_journey("load", {"SLEEPS": "seed"}, load_strategies()).plan()
    facts = read_facts(Bundle(make.fabricate(tmp_path, make.SMOKE)))
    couples = zip(facts.trials, plan.trials, strict=False)
    played = tuple(trial.model_copy(update={"plan": planned}) for trial, planned in couples)
    warnings = [w for w in run_warnings(replace(facts, trials=played)) if w.code == "think-time-differs"]
    assert [(warn.severity, warn.value, warn.limit) for warn in warnings] == [(Severity.CAUTION, 2.2, 2.0)]
    assert "proxy-chunked 2 s and direct-multipart 2.2 s" in warnings[0].message


@pytest.mark.parametrize("value", ["always", "SEED"])
def test_other_pauses_are_refused(value: str) -> None:
    with pytest.raises(OverrideError, match=r"SLEEPS=.*expected model or seed or none"):
        make_journey("load", {"SLEEPS": value}, load_strategies())
