"""What the harness tells Prometheus: a turn and a fault exactly while they are going on."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from compose import ports
from loadtests.harness.exporter import Activity, arm_at, serving
from loadtests.harness.records.plan import Stretch

pytestmark = pytest.mark.unit
STRETCH = Stretch(
    stretch="s001", part="compare", t0=100.0, period_s=3.0, washout_s=0.7, order=("a", "b"), blocks=(0, 0)
)
NOTHING: dict[str, list[dict[str, str]]] = {"testbed_turn_active": [], "testbed_fault_active": []}


async def scraped(port: int) -> dict[str, list[dict[str, str]]]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        families = text_string_to_metric_families(await answer.text())
        return {one.name: [s.labels for s in one.samples if s.value == 1] for one in families}


async def test_series_exist_only_while_it_is_so() -> None:
    activity, (port,) = Activity("20260101-000000-ab-smoke", clock=lambda: 104.0), ports.free(1)
    async with serving(activity, "127.0.0.1", port):
        assert await scraped(port) == NOTHING
        with activity.stretch(STRETCH), activity.fault("paused", "pg-files"):
            assert await scraped(port) == {
                "testbed_turn_active": [{"run": "20260101-000000-ab-smoke", "part": "compare", "arm": "b"}],
                "testbed_fault_active": [{"fault": "paused", "target": "pg-files"}],
            }
        with pytest.raises(RuntimeError), activity.stretch(STRETCH):
            raise RuntimeError
        assert await scraped(port) == NOTHING


@pytest.mark.parametrize(
    ("at", "arm"), [(99.9, None), (100.0, "a"), (102.9, "a"), (103.0, "b"), (105.9, "b"), (106.0, None)]
)
def test_turns_follow_the_clock(at: float, arm: str | None) -> None:
    assert arm_at(STRETCH, at) == arm


async def test_a_taken_port_is_an_error_of_the_caller() -> None:
    (port,) = ports.free(1)
    async with serving(Activity("a"), "127.0.0.1", port):
        with pytest.raises(OSError, match="address already in use"):
            async with serving(Activity("b"), "127.0.0.1", port):
                pass
