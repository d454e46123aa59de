"""What the harness tells Prometheus: a trial and a fault exactly while they are going on."""

from __future__ import annotations

import aiohttp
import pytest
from loadtests.harness.running.exporter import Activity, serving
from prometheus_client.parser import text_string_to_metric_families

from compose import ports
from loadtests.harness.records.model import Load, Question, TrialPlan

pytestmark = pytest.mark.unit
PLAN = TrialPlan(
    trial="t007",
    question=Question.CAPACITY,
    arm="proxy-chunked",
    file_size_bytes=1,
    load=Load(executor="constant-vus", vus=32),
    seed=1,
    level="32 VU",
)


async def scraped(port: int) -> dict[str, list[dict[str, str]]]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        families = text_string_to_metric_families(await answer.text())
        return {one.name: [s.labels for s in one.samples if s.value == 1] for one in families}


async def test_series_exist_only_while_it_is_so() -> None:
    activity, (port,) = Activity("20260101-000000-exp07-smoke"), ports.free(1)
    async with serving(activity, "127.0.0.1", port):
        assert await scraped(port) == {"testbed_trial_active": [], "testbed_fault_active": []}
        with activity.trial(PLAN), activity.fault("paused", "pg-files"):
            assert await scraped(port) == {
                "testbed_trial_active": [
                    {
                        "run": "20260101-000000-exp07-smoke",
                        "trial": "t007",
                        "arm": "proxy-chunked",
                        "level": "32 VU",
                    }
                ],
                "testbed_fault_active": [{"fault": "paused", "target": "pg-files"}],
            }
        with pytest.raises(RuntimeError), activity.trial(PLAN):
            raise RuntimeError
        assert await scraped(port) == {"testbed_trial_active": [], "testbed_fault_active": []}


async def test_a_taken_port_is_an_error_of_the_caller() -> None:
    (port,) = ports.free(1)
    async with serving(Activity("a"), "127.0.0.1", port):
        with pytest.raises(OSError, match="address already in use"):
            async with serving(Activity("b"), "127.0.0.1", port):
                pass
