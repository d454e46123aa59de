"""What panels are told while a run goes on is what its report says at the end."""

from __future__ import annotations

import pytest

from loadtests.harness.analyse import analyse
from loadtests.harness.exporter import CPU_S, DURABLE_S, GATEWAY_BYTES, UPLOADS_PER_S
from loadtests.harness.figures import Figures
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import Counted
from tests.unit.loadtests.switchback import World, arm, bundle, part, plan

pytestmark = pytest.mark.unit


def test_audit_by_audit_the_figures_become_the_reports() -> None:
    alone = [part(arm(name), name=f"warm-up {name}", kind=PartKind.WARM_UP) for name in "AB"]
    own = part(arm("A"), arm("B"))
    planned = plan(own, *alone)
    world = World(rates={"A": 40.0, "B": 60.0}, noise=0.1)
    figures, counted, values = Figures(), list[Counted](), dict[tuple[str, str], float]()
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
        found = figures.of_arms(planned, counted)
        values = {(one.family, one.arm): one.value for one in found}
    result = analyse(bundle(world, planned=planned, of_counted=counted))
    assert result.compare is not None
    for one in result.compare.arms:
        name, durable_ms = one.arm.name, one.durable_p50.ms.value
        assert durable_ms is not None
        assert values[UPLOADS_PER_S, name] == pytest.approx(one.uploads_per_s.value, rel=1e-5)
        assert values[CPU_S, name] == pytest.approx(one.cpu_s_per_upload.value, rel=1e-5)
        assert values[DURABLE_S, name] == pytest.approx(durable_ms / 1000, rel=1e-5)
    for price in result.prices:
        assert price.gateway_bytes_in == pytest.approx(1.0 if price.arm == "A" else 0.0, abs=1e-6)
        assert values[GATEWAY_BYTES, price.arm] == pytest.approx(price.gateway_bytes_in, abs=1e-6)
    assert len(values) == 8
