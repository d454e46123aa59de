"""Where a ramp stops gaining, and what ended it."""

from __future__ import annotations

import pytest

from loadtests.harness.analysis.knee import knee_of
from loadtests.harness.analysis.model import Estimate, Quantile, RampPoint
from loadtests.harness.analysis.sentences import knee_sentence
from tests.unit.loadtests.fabricate import PROXY

pytestmark = pytest.mark.unit


def point(vus: int, goodput: float | None, p95: float, *, valid: bool = True, busy: float = 0.5) -> RampPoint:
    return RampPoint(
        arm=PROXY,
        level=f"{vus} VU",
        vus=vus,
        concurrency=float(vus),
        goodput_per_s=Estimate(n=1, value=goodput),
        p95_ms=Quantile(q=0.95, n=200, minimum=100, value=p95),
        host_busy=busy,
        valid=valid,
    )


def test_stops_gaining() -> None:
    curve = [point(1, 10, 10), point(2, 19, 11), point(4, 30, 14), point(8, 31, 20), point(16, 31, 25)]
    knee = knee_of(PROXY, curve)
    assert (knee.gains_until_vus, knee.stopped_by, knee.slow_from_vus) == (4, "stops gaining", None)


def test_one_low_level_is_no_knee() -> None:
    curve = [point(1, 10, 10), point(2, 10.2, 11), point(4, 30, 14), point(8, 45, 20)]
    assert knee_of(PROXY, curve).gains_until_vus is None


def test_slow_before_it_stops_gaining() -> None:
    curve = [point(1, 10, 10), point(2, 15, 31), point(4, 22, 60), point(8, 33, 99)]
    knee = knee_of(PROXY, curve)
    assert (knee.slow_from_vus, knee.stopped_by) == (2, "latency")


def test_two_levels_show_no_end() -> None:
    knee = knee_of(PROXY, [point(1, 10, 10), point(4, 10, 40)])
    assert (knee.gains_until_vus, knee.slow_from_vus, knee.stopped_by) == (None, None, "too few levels")


def test_a_ramp_of_one_known_level_is_told_as_one() -> None:
    told = knee_sentence([knee_of(PROXY, [point(1, 48, 10)])], {PROXY: "proxy"})
    assert told is not None
    assert told.text.startswith("With 1 upload at once proxy came to 48 uploads per second; one level")


def test_machines_end() -> None:
    curve = [point(1, 10, 10), point(2, 19, 11), point(4, 36, 14, busy=0.97)]
    assert knee_of(PROXY, curve).stopped_by == "machine's end"


def test_an_invalid_level_counts_for_nothing_and_ends_the_ramp() -> None:
    curve = [point(1, 10, 10), point(2, 19, 11), point(4, 36, 14), point(8, 90, 14, valid=False)]
    knee = knee_of(PROXY, curve)
    assert (knee.last_vus, knee.peak_goodput_per_s) == (4, 36)
    assert knee.stopped_by == "load generator's end"
