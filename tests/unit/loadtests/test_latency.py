"""Percentiles and their intervals, and logins and lists beside uploads."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.harness.intervals import mean_ratio, ratio_of_sums
from loadtests.harness.latency import FEWEST_SAMPLES, neighbours, percentile, percentile_over_periods
from loadtests.harness.periods import Samples
from loadtests.harness.records.plan import NOBODY, PartKind
from loadtests.harness.records.samples import StepSample
from tests.unit.loadtests.switchback import World, arm, part

pytestmark = pytest.mark.unit


class TestPercentile:
    def test_interval_of_a_median_is_the_textbook_ranks(self) -> None:
        """For n = 100 the 95 % interval of the median is the 40th to the 61st value (Conover, 3.2)."""
        found = percentile(np.arange(1.0, 101.0) / 1000, 0.5).ms
        assert (found.value, found.low, found.high) == pytest.approx((50.5, 40.0, 61.0))

    @pytest.mark.parametrize("q", sorted(FEWEST_SAMPLES))
    def test_not_given_below_the_minimum(self, q: float) -> None:
        least = FEWEST_SAMPLES[q]
        short = percentile(np.ones(least - 1), q)
        assert (short.ms.value, short.samples, short.minimum) == (None, least - 1, least)
        assert percentile(np.ones(least), q).ms.value == 1000.0

    def test_interval_covers_at_least_as_often_as_it_says(self) -> None:
        random = np.random.default_rng(3)
        hits = 0
        for _ in range(400):
            found = percentile(random.random(200), 0.95).ms
            assert found.low is not None
            hits += found.low <= 950 and (found.high is None or found.high >= 950)
        assert hits / 400 >= 0.94


class TestOverPeriods:
    def test_samples_that_share_their_period_make_the_interval_wider(self) -> None:
        random = np.random.default_rng(4)
        periods = [random.exponential(0.1, 50) + random.choice([0.0, 0.5]) for _ in range(20)]
        found = percentile_over_periods(periods, 0.5, seed=1).ms
        narrow = percentile(np.concatenate(periods), 0.5).ms
        assert found.high and found.low and narrow.high and narrow.low
        assert found.high - found.low > 2 * (narrow.high - narrow.low)

    def test_covers_the_truth(self) -> None:
        """The 95th percentile of an exponential distribution whose scale differs between periods."""
        random = np.random.default_rng(5)
        truth = (
            float(np.quantile(random.exponential(1, 400_000) * random.lognormal(0, 0.3, 400_000), 0.95))
            * 1000
        )
        hits = 0
        for case in range(100):
            periods = [random.exponential(scale, 40) for scale in random.lognormal(0, 0.3, 24)]
            found = percentile_over_periods(periods, 0.95, seed=case).ms
            assert found.low and found.high
            hits += found.low <= truth <= found.high
        assert hits / 100 >= 0.88  # percentile intervals of 24 resampled units run a little narrow

    def test_equal_seeds_give_equal_intervals(self) -> None:
        periods = [np.linspace(0.1, 0.2, 30) * factor for factor in range(1, 9)]
        assert percentile_over_periods(periods, 0.95, seed=7) == percentile_over_periods(
            periods, 0.95, seed=7
        )

    def test_few_periods_give_a_value_alone(self) -> None:
        found = percentile_over_periods([np.ones(200)] * 3, 0.95, seed=1).ms
        assert (found.value, found.low) == (1000.0, None)


def test_neighbours_count_requests_due_in_the_counted_part_of_their_arm() -> None:
    own = part(
        arm(NOBODY),
        arm("A", rate_per_s=10.0),
        name="neighbours",
        kind=PartKind.NEIGHBOURS,
        login_rate_per_s=5.0,
    )
    world = World(rates={"A": 10.0})
    stretch = world.play(own, 6)
    steps = []
    for index, name in enumerate(stretch.order):
        slow = 40.0 if name == "A" else 10.0
        for number in range(15):
            due = stretch.t0 + index * stretch.period_s + number * 0.2
            steps.append(
                StepSample(
                    stretch="s001",
                    arm=name,
                    step="login",
                    started_at=due + 0.005,
                    duration_ms=slow,
                    status=200,
                    ok=number != 14,
                    scheduled_at=due,
                )
            )
    periods = Samples(world.uploads, ()).periods(own, world.stretches)
    found = neighbours(own, world.stretches, periods, steps, seed=1)
    nobody, beside = found.arms
    assert (nobody.arm, beside.arm, found.rate_per_s) == (NOBODY, "A", 10.0)
    # 0.7 s of washout are 4 of 15 requests; one of the other 11 fails
    assert beside.login_p50.samples == 12 * 10
    assert beside.failed == {"login": 12, "list": 0}
    assert nobody.login_p50.ms.value == pytest.approx(15.0)
    assert beside.login_p95.ms.value == pytest.approx(45.0)
    assert nobody.durable_p95 is None


class TestIntervals:
    def test_ratio_of_sums_of_equal_wholes_is_the_t_interval_of_the_mean(self) -> None:
        """NIST/SEMATECH e-Handbook 1.3.5.2, ZARR13.DAT in summary: 195 values, mean and deviation given."""
        draws = np.random.default_rng(1).normal(size=195)
        values = 9.26146 + 0.02278881 * (draws - draws.mean()) / draws.std(ddof=1)
        found = ratio_of_sums(values.tolist(), [1.0] * 195)
        assert found.low == pytest.approx(9.258242, abs=1e-5)
        assert found.high == pytest.approx(9.264679, abs=1e-5)

    def test_parts_of_one_whole_add_up(self) -> None:
        wholes = [3.0, 5.0, 4.0]
        one, other = [1.0, 2.0, 1.5], [0.5, 1.0, 0.2]
        both = [a + b for a, b in zip(one, other, strict=True)]
        parts = [ratio_of_sums(values, wholes).value or 0.0 for values in (one, other)]
        assert ratio_of_sums(both, wholes).value == pytest.approx(sum(parts))

    def test_two_units_give_no_interval(self) -> None:
        found = ratio_of_sums([1.0, 3.0], [1.0, 1.0])
        assert (found.n, found.value, found.low) == (2, 2.0, None)
        assert mean_ratio([0.0, 0.0]).low is None

    def test_nothing_gives_nothing(self) -> None:
        assert ratio_of_sums([], []).value is None
        assert ratio_of_sums([1.0], [0.0]).value is None
        assert mean_ratio([]).value is None
