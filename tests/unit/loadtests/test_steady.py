"""Where a long hold begins to be steady: cut when it must be, left alone when it need not."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.harness.analysis.guards_measures import STEADY_LIMIT
from loadtests.harness.analysis.stats import STEADY_BINS, steady_from
from loadtests.harness.running.trial_numbers import Window, steady_cut_s

pytestmark = pytest.mark.unit

RUNS = 400


def rejected(series: np.ndarray) -> bool:
    """As the guard does: of a rate that never settles, noise moves the cut a little before the very end."""
    return (steady_from(series.tolist()) or 0.0) / 0.5 > STEADY_LIMIT


@pytest.mark.parametrize("rate", [2.0, 16.0])
def test_a_steady_series_is_hardly_ever_rejected(rate: float) -> None:
    noise = np.random.default_rng(1)
    assert sum(rejected(noise.poisson(rate, STEADY_BINS)) for _ in range(RUNS)) <= 0.05 * RUNS


def test_few_bins_would_reject_too_often_and_are_refused() -> None:
    assert steady_from([1.0] * (STEADY_BINS - 1)) is None


def test_a_slow_start_is_cut_and_the_rest_kept() -> None:
    noise = np.random.default_rng(2)
    rates = np.concatenate([np.linspace(2, 16, 60), np.full(STEADY_BINS - 60, 16.0)])
    cuts = [steady_from(noise.poisson(rates).tolist()) for _ in range(50)]
    assert sum(cut is not None and 0.1 <= cut <= 0.3 for cut in cuts) >= 45


def test_a_rate_that_never_settles_is_rejected() -> None:
    noise = np.random.default_rng(3)
    series = [noise.poisson(np.linspace(2, 40, STEADY_BINS)) for _ in range(50)]
    assert sum(map(rejected, series)) >= 40


def test_only_long_windows_are_looked_at() -> None:
    times = [10.0 + 60.0 * index / 6000 for index in range(6000)]
    assert steady_cut_s(Window(10.0, 18.0), times) is None
    assert steady_cut_s(Window(10.0, 70.0), times) == 0.0


def test_a_warm_up_inside_the_window_is_measured_in_seconds() -> None:
    slow = [10.0 + 0.2 * index for index in range(60)]  # 5 per second for 12 s
    fast = [22.0 + 0.01 * index for index in range(4800)]  # 100 per second for 48 s
    assert steady_cut_s(Window(10.0, 70.0), [*slow, *fast]) == pytest.approx(12.0, abs=0.5)
