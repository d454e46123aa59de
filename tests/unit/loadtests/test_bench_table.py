"""The benchmark's table: shares of the same round, targets on the right side."""

from __future__ import annotations

from collections import Counter

import pytest
from loadtests.harness.running.raw import RAW_ARM

from loadtests.harness.commands.bench_plan import ARMS, DIRECT, PROXY, bench_trials
from loadtests.harness.commands.bench_table import Row

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "more_is_better", "reached"),
    [(0.7, True, "stretch"), (0.5, True, "must"), (0.3, True, "missed"), (None, True, "")],
)
def test_reached(value: float | None, more_is_better: bool, reached: str) -> None:
    assert Row("q", value, 0.45, 0.60, more_is_better).reached == reached


def test_less_is_better_for_costs() -> None:
    assert Row("q", 0.9, 1.5, 1.0, more_is_better=False).reached == "stretch"
    assert Row("q", 1.2, 1.5, 1.0, more_is_better=False).reached == "must"
    assert Row("q", 1.6, 1.5, 1.0, more_is_better=False).reached == "missed"


def test_every_round_has_its_own_reference() -> None:
    trials = bench_trials()
    main = [item.plan for item in trials if item.group == "main"]
    assert Counter(plan.arm for plan in main) == {RAW_ARM: 3, PROXY: 3, DIRECT: 3}
    assert len({plan.arm for plan in main[::3]}) == 3, "each arm leads one round"
    levels = {(item.plan.load.vus, item.plan.arm) for item in trials if item.group in ("main", "levels")}
    assert {vus for vus, arm in levels if arm in ARMS} == {1, 8, 32, 100}
    assert [item.plan.trial for item in trials] == sorted(item.plan.trial for item in trials)
