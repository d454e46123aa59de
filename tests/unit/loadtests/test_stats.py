"""Statistics against published values, and the simulation behind the order of trials."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loadtests.harness.analysis.stats import (
    MIN_SAMPLES,
    RatioEstimate,
    VerdictKind,
    decide,
    holm,
    little_mismatch,
    mean_interval,
    neighbour_ratios,
    noise_floor,
    percentile,
    ratio_of_pairs,
    trend,
)

pytestmark = pytest.mark.unit


def estimate(low: float, high: float, n: int = 6) -> RatioEstimate:
    return RatioEstimate(n, math.sqrt(low * high), low, high, 0.01)


class TestMean:
    def test_interval_of_the_nist_handbook(self) -> None:
        """NIST/SEMATECH e-Handbook 1.3.5.2, ZARR13.DAT in summary: 195 values, mean and deviation given."""
        draws = np.random.default_rng(1).normal(size=195)
        values = 9.26146 + 0.02278881 * (draws - draws.mean()) / draws.std(ddof=1)
        found = mean_interval(values.tolist())
        assert found.low == pytest.approx(9.258242, abs=1e-5)
        assert found.high == pytest.approx(9.264679, abs=1e-5)

    def test_two_trials_give_no_interval(self) -> None:
        found = mean_interval([1.0, 3.0])
        assert (found.n, found.value, found.low, found.high) == (2, 2.0, None, None)

    def test_nothing_gives_nothing(self) -> None:
        assert mean_interval([]).value is None


class TestRatio:
    def test_student_1908_sleep_data(self) -> None:
        """Student's sleep data, paired: difference 1.58, 95 % interval 0.7001 to 2.4599, p = 0.002833."""
        first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
        second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
        found = ratio_of_pairs([(math.exp(a), math.exp(b)) for a, b in zip(first, second, strict=True)])
        assert found.value is not None and found.low is not None and found.high is not None
        assert math.log(found.value) == pytest.approx(1.58)
        assert math.log(found.low) == pytest.approx(0.7001142, abs=1e-6)
        assert math.log(found.high) == pytest.approx(2.4598858, abs=1e-6)
        assert found.p_t == pytest.approx(0.002832890, abs=1e-8)

    def test_one_pair_has_a_value_and_no_interval(self) -> None:
        found = ratio_of_pairs([(2.0, 3.0)])
        assert found.value == pytest.approx(1.5)
        assert (found.n, found.low, found.high) == (1, None, None)

    def test_equal_pairs_do_not_divide_by_zero(self) -> None:
        found = ratio_of_pairs([(2.0, 2.0)] * 6)
        assert (found.value, found.p_t) == (1.0, 1.0)


class TestVerdict:
    @pytest.mark.parametrize(
        ("low", "high", "n", "kind", "text"),
        [
            (1.3, 1.5, 6, VerdictKind.FASTER, "faster"),
            (0.6, 0.8, 6, VerdictKind.SLOWER, "slower"),
            (1.01, 1.04, 6, VerdictKind.FASTER, "faster by less than 5 %"),
            (0.96, 0.99, 6, VerdictKind.SLOWER, "slower by less than 5 %"),
            (0.97, 1.04, 6, VerdictKind.EQUIVALENT, "equivalent within ±5 %"),
            (0.94, 1.04, 6, VerdictKind.NOT_SHOWN, "~"),
            (0.97, 1.06, 6, VerdictKind.NOT_SHOWN, "~"),
            (1.3, 1.5, 5, VerdictKind.NOT_SHOWN, "~"),
        ],
    )
    def test_rule(self, low: float, high: float, n: int, kind: VerdictKind, text: str) -> None:
        verdict = decide(estimate(low, high, n), 0.05)
        assert (verdict.kind, verdict.text(0.05)) == (kind, text)


def test_holm_of_a_published_example() -> None:
    """Wright (1992), as R's p.adjust gives it for these p-values."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


class TestPercentile:
    def test_interval_of_a_median_is_the_textbook_ranks(self) -> None:
        """For n = 100 the 95 % interval of the median is the 40th to the 61st value (Conover, 3.2)."""
        found = percentile(list(range(1, 101)), 0.5)
        assert (found.value, found.low, found.high) == (50.5, 40.0, 61.0)

    @pytest.mark.parametrize("q", sorted(MIN_SAMPLES))
    def test_not_given_below_the_minimum(self, q: float) -> None:
        least = MIN_SAMPLES[q]
        short = percentile([1.0] * (least - 1), q)
        assert (short.value, short.low, short.high, short.n) == (None, None, None, least - 1)
        assert percentile([1.0] * least, q).value == 1.0

    def test_interval_covers_at_least_as_often_as_it_says(self) -> None:
        random = np.random.default_rng(3)
        truth = 0.95  # of a uniform distribution
        hits = 0
        for _ in range(400):
            found = percentile(random.random(200).tolist(), 0.95)
            assert found.low is not None
            hits += found.low <= truth and (found.high is None or truth <= found.high)
        assert hits / 400 >= 0.94


class TestNoise:
    def test_only_neighbours_of_the_same_arm_count(self) -> None:
        trials = [("a", 10.0), ("b", 20.0), ("b", 22.0), ("a", 11.0), ("a", 9.9)]
        assert neighbour_ratios(trials) == pytest.approx([1.1, 0.9])

    def test_floor_is_the_typical_difference(self) -> None:
        assert noise_floor([1.1, 1 / 1.1]) == pytest.approx(0.1)
        assert noise_floor([]) is None


class TestTrend:
    def test_a_step_is_seen(self) -> None:
        found = trend([10, 11, 10, 11, 20, 21, 20, 21])
        assert found is not None and found.standard_errors > 3
        assert found.change == pytest.approx(0.952, abs=0.001)

    def test_a_steady_series_is_seldom_called_trending(self) -> None:
        random = np.random.default_rng(5)
        wrong = sum(
            (found := trend(random.poisson(50, 16).tolist())) is not None and found.standard_errors > 3
            for _ in range(500)
        )
        assert wrong / 500 < 0.03

    def test_too_short_says_nothing(self) -> None:
        assert trend([1, 2, 3]) is None

    def test_constant_says_nothing(self) -> None:
        assert trend([5, 5, 5, 5]) is None


def test_little() -> None:
    assert little_mismatch(16, 40, 0.4) == pytest.approx(0.0)
    assert little_mismatch(20, 40, 0.4) == pytest.approx(0.25)
    assert little_mismatch(1, 0, 0.4) is None


def claims(order: str, pairs: int, repeats: int = 600) -> float:
    """How often a difference is claimed between equal arms while the machine drifts by 10 %."""
    random = np.random.default_rng(11)
    trials = 2 * pairs
    drift = np.linspace(0, math.log(1.1), trials)
    claimed = 0
    for _ in range(repeats):
        logs = drift + random.normal(0, 0.03, trials)
        a, b = positions(order, pairs)
        found = ratio_of_pairs([(math.exp(logs[i]), math.exp(logs[j])) for i, j in zip(a, b, strict=True)])
        claimed += not (found.low or 0) <= 1 <= (found.high or math.inf)
    return claimed / repeats


def positions(order: str, pairs: int) -> tuple[list[int], list[int]]:
    if order == "A then B":
        return list(range(pairs)), list(range(pairs, 2 * pairs))
    first = [2 * p if p % 2 == 0 else 2 * p + 1 for p in range(pairs)]
    second = [2 * p + 1 if p % 2 == 0 else 2 * p for p in range(pairs)]
    return first, second


def test_drift_fools_one_arm_after_the_other_and_not_abba() -> None:
    """Why the order is fixed: with 10 % drift, all A and then all B finds what is not there."""
    assert claims("A then B", 5) > 0.5
    assert claims("A then B", 10) > 0.85
    assert claims("ABBA", 6) < 0.08
    assert claims("ABBA", 10) < 0.08
