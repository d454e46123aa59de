"""Estimates against published values, and the rules of the verdict."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from loadtests.harness.records.result import Interval, Verdict
from loadtests.harness.verdict import (
    Observed,
    Rule,
    best_of,
    blocks_wanted,
    estimate,
    far_enough,
    holm,
    judge,
    pairs_of,
    ratios_of,
    spreads,
    units_wanted,
)

pytestmark = pytest.mark.unit

RULE = Rule(margin=0.05, precision=0.05, first_blocks=8)


def interval(low: float, high: float, n: int = 6) -> Interval:
    return Interval(n=n, value=math.sqrt(low * high), low=low, high=high)


def observed(*logs: float, per_making: int = 1) -> list[Observed]:
    return [Observed(index // per_making, log) for index, log in enumerate(logs)]


class TestEstimate:
    def test_student_1908_sleep_data(self) -> None:
        """Student's sleep data, paired: difference 1.58, 95 % interval 0.7001 to 2.4599, p = 0.002833."""
        first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
        second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
        found = estimate([b - a for a, b in zip(first, second, strict=True)], 10)
        assert found.half is not None
        assert found.mean - found.half == pytest.approx(0.7001142, abs=1e-6)
        assert found.mean + found.half == pytest.approx(2.4598858, abs=1e-6)
        assert found.p == pytest.approx(0.002832890, abs=1e-8)

    def test_the_spread_stays_that_of_the_first_stage(self) -> None:
        first = [0.01, -0.02, 0.03, 0.00]
        found = estimate([*first, 5.0, -5.0, 5.0, -5.0], 4)
        spread = float(np.std(first, ddof=1))
        assert found.half == pytest.approx(3.182446 * spread / math.sqrt(8))
        assert found.mean == pytest.approx(0.0025)

    def test_one_unit_has_a_mean_and_no_interval(self) -> None:
        found = estimate([0.2], 8)
        assert (found.mean, found.half, found.p) == (0.2, None, None)

    def test_equal_units_do_not_divide_by_zero(self) -> None:
        assert estimate([0.0] * 6, 6).p == 1.0
        assert estimate([0.125] * 8, 8).p == 0.0

    def test_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no unit"):
            estimate([], 8)


class TestWanted:
    def test_steins_rule(self) -> None:
        logs = [0.1, -0.1] * 4
        spread = float(np.std(logs, ddof=1))
        assert units_wanted(logs, 0.05) == math.ceil((2.364624 * spread / math.log(1.05)) ** 2)

    def test_never_fewer_than_the_first_stage(self) -> None:
        assert units_wanted([0.001, -0.001] * 4, 0.05) == 8

    def test_half_width_after_that_many_is_the_wanted_one(self) -> None:
        logs = [0.08, -0.05, 0.1, -0.12, 0.02, 0.07, -0.09, 0.01]
        n = units_wanted(logs, 0.05)
        found = estimate(logs + [0.0] * (n - 8), 8)
        assert found.half is not None and found.half <= math.log(1.05)

    def test_the_first_stage_first(self) -> None:
        assert blocks_wanted(observed(1.0, -1.0, 1.0), RULE) == 8

    def test_makings_are_counted_in_blocks(self) -> None:
        rule = Rule(margin=0.05, precision=0.05, first_blocks=8, replicated=True)
        logs = [0.05, 0.05, -0.05, -0.05, 0.05, 0.05, -0.05, -0.05]
        makings = units_wanted([0.05, -0.05, 0.05, -0.05], 0.05)
        assert blocks_wanted(observed(*logs, per_making=2), rule) == 2 * makings


class TestJudge:
    @pytest.mark.parametrize(
        ("low", "high", "n", "verdict"),
        [
            (1.3, 1.5, 6, Verdict.MORE),
            (0.6, 0.8, 6, Verdict.LESS),
            (1.01, 1.04, 6, Verdict.MORE),
            (0.97, 1.04, 6, Verdict.EQUAL),
            (0.94, 1.04, 6, Verdict.NOT_SHOWN),
            (0.97, 1.06, 6, Verdict.NOT_SHOWN),
            (1.3, 1.5, 5, Verdict.NOT_SHOWN),
        ],
    )
    def test_rule(self, low: float, high: float, n: int, verdict: Verdict) -> None:
        assert judge(interval(low, high, n), 0.05) is verdict

    def test_holm_takes_a_difference_back(self) -> None:
        assert judge(interval(1.01, 1.3), 0.05, p_holm=0.06) is Verdict.NOT_SHOWN

    @pytest.mark.parametrize(
        ("low", "high", "named"),
        [(1.00, 1.31, False), (1.02, 1.31, False), (1.03, 1.31, True), (0.7, 0.98, False), (0.7, 0.97, True)],
    )
    def test_a_winner_takes_a_quarter_of_the_margin(self, low: float, high: float, named: bool) -> None:
        found = interval(low, high)
        assert far_enough(found, judge(found, 0.10), 0.10) is named


def test_holm_of_a_published_example() -> None:
    """Wright (1992), as R's p.adjust gives it for these p-values."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


class TestRatios:
    def test_three_arms_are_three_pairs_judged_together(self) -> None:
        random = np.random.default_rng(1)
        logs = {"A": 0.0, "B": 0.2, "C": 0.4}
        noise = {name: random.normal(0, 0.02, 8) for name in logs}
        seen = {
            (a, b): observed(*(logs[b] - logs[a] + noise[b] - noise[a]).tolist())
            for a, b in combinations(logs, 2)
        }
        found = ratios_of("compare", "uploads_per_s", seen, RULE)
        assert (
            [(ratio.base, ratio.arm) for ratio in found]
            == pairs_of("ABC")
            == [("A", "B"), ("A", "C"), ("B", "C")]
        )
        assert all((ratio.p_holm or 0) >= (ratio.p or 0) for ratio in found)
        assert best_of("ABC", found) == "C"
        assert best_of("ABC", found[:2]) is None

    def test_a_trial_names_nobody(self) -> None:
        seen = {("A", "B"): observed(*[0.3, 0.31, 0.29, 0.3] * 2)}
        (ratio,) = ratios_of("p", "uploads_per_s", seen, Rule(0.1, 0.05, 8, may_name=False))
        assert (ratio.verdict, ratio.winner_named) == (Verdict.MORE, False)

    def test_the_making_of_the_stacks_is_the_unit(self) -> None:
        rule = Rule(margin=0.05, precision=0.05, first_blocks=4, replicated=True)
        seen = {("A", "B"): observed(0.1, 0.1, -0.1, -0.1, per_making=2)}
        (ratio,) = ratios_of("p", "uploads_per_s", seen, rule)
        assert (ratio.unit, ratio.ratio.n) == ("instance", 2)
        assert ratio.blocks == pytest.approx((math.exp(0.1), math.exp(-0.1)))

    def test_a_pair_that_no_block_measured_is_left_out(self) -> None:
        assert ratios_of("p", "uploads_per_s", {("A", "B"): []}, RULE) == ()


def test_spreads_within_and_between_makings() -> None:
    random = np.random.default_rng(2)
    logs = [place + block for place in random.normal(0, 0.07, 400) for block in random.normal(0, 0.03, 3)]
    within, between = spreads(observed(*logs, per_making=3))
    assert within == pytest.approx(0.03, abs=0.002)
    assert between == pytest.approx(0.07, abs=0.006)
