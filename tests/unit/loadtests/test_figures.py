"""What panels are told while a run goes on is what its report says at the end."""

from __future__ import annotations

import pytest

from loadtests.harness.analyse import analyse
from loadtests.harness.analysis.figures import WITH_RATIO, Figures
from loadtests.harness.metrics.exporter import (
    CPU_S,
    DURABLE_S,
    GATEWAY_BYTES,
    HALF_WIDTH_WANTED,
    RATIO,
    UPLOADS_PER_S,
    Figure,
)
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Result
from loadtests.harness.records.samples import Counted
from tests.unit.loadtests.switchback import World, arm, bundle, part, plan

pytestmark = pytest.mark.unit


def found_of(figures: list[Figure], family: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Values of a family by the values of these labels."""
    return {
        tuple(one.labels[label] for label in labels): one.value for one in figures if one.family == family
    }


def test_audit_by_audit_the_figures_become_the_reports() -> None:
    alone = [part(arm(name), name=f"warm-up {name}", kind=PartKind.WARM_UP) for name in "AB"]
    own = part(arm("A"), arm("B"))
    planned = plan(own, *alone)
    world = World(rates={"A": 40.0, "B": 60.0}, noise=0.1)
    figures, counted, told = Figures(), list[Counted](), list[Figure]()
    for played, each in ((alone[0], 1), (alone[1], 1), (own, 2), (own, 3), (own, 1)):
        uploads, looks = len(world.uploads), len(world.looks)
        stretch = world.play(played, each)
        new = world.uploads[uploads:]
        of_arms = {name: sum(one.arm == name for one in new) for name in "AB"}
        counted.append(
            Counted(
                stack="",
                stretches=(stretch.stretch,),
                uploads=of_arms,
                statements={},
                store_requests={},
                gateway_bytes_in=of_arms["A"] * 1_000_000.0,
                gateway_bytes_out=0.0,
            )
        )
        figures.add(planned, world.stretches, {stretch.stretch}, new, world.looks[looks:])
        told = figures.so_far(planned, counted)
    result = analyse(bundle(world, planned=planned, of_counted=counted))
    check_arms(told, result)
    check_ratios(told, result)
    assert found_of(told, HALF_WIDTH_WANTED, "part") == {(own.name,): planned.precision}


def check_arms(told: list[Figure], result: Result) -> None:
    assert result.compare is not None
    for one in result.compare.arms:
        name, durable_ms = (one.arm.name,), one.durable_p50.ms.value
        assert durable_ms is not None
        assert found_of(told, UPLOADS_PER_S, "arm")[name] == pytest.approx(one.uploads_per_s.value, rel=1e-5)
        assert found_of(told, CPU_S, "arm")[name] == pytest.approx(one.cpu_s_per_upload.value, rel=1e-5)
        assert found_of(told, DURABLE_S, "arm")[name] == pytest.approx(durable_ms / 1000, rel=1e-5)
    for price in result.prices:
        assert price.gateway_bytes_in == pytest.approx(1.0 if price.arm == "A" else 0.0, abs=1e-6)
        through = found_of(told, GATEWAY_BYTES, "arm")[price.arm,]
        assert through == pytest.approx(price.gateway_bytes_in, abs=1e-6)


def check_ratios(told: list[Figure], result: Result) -> None:
    """Of the metrics that panels show, with both ends of the interval."""
    assert result.compare is not None
    reported = {
        (one.part, one.metric, one.arm, one.base, bound): value
        for one in result.compare.ratios
        if one.metric in WITH_RATIO
        for bound, value in (("low", one.ratio.low), ("middle", one.ratio.value), ("high", one.ratio.high))
    }
    assert len(reported) == 3 * len(WITH_RATIO)
    found = found_of(told, RATIO, "part", "metric", "arm", "over", "bound")
    assert found == pytest.approx(reported, rel=1e-5)


def test_before_the_first_block_nothing_is_said() -> None:
    own = part(arm("A"), arm("B"))
    assert Figures().so_far(plan(own), []) == []
