"""What the harness tells Prometheus: a turn and a fault exactly while they are going on."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from compose import ports
from loadtests.harness.metrics import exporter
from loadtests.harness.metrics.exporter import (
    CPU_S,
    FAMILIES,
    UPLOADS_PER_S,
    Activity,
    Figure,
    arm_at,
    serving,
)
from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import Look

pytestmark = pytest.mark.unit
STRETCH = Stretch(
    stretch="s001", part="compare", t0=100.0, period_s=3.0, washout_s=0.7, order=("a", "b"), blocks=(0, 0)
)
LOOK = Look(at=104.0, cpu_s={}, lives={}, rss_bytes={"pg-files": 7}, host_busy_s=0.0, pool_waiting={})
Page = dict[str, list[tuple[dict[str, str], float]]]


async def scraped(port: int) -> Page:
    """Families that have samples."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        families = list(text_string_to_metric_families(await answer.text()))
        assert [one.name for one in families] == list(FAMILIES)
        return {one.name: [(s.labels, s.value) for s in one.samples] for one in families if one.samples}


async def test_series_exist_only_while_it_is_so() -> None:
    activity, (port,) = Activity("20260101-000000-ab-smoke", clock=lambda: 104.0), ports.free(1)
    run = {"run": "20260101-000000-ab-smoke"}
    async with serving(activity, "127.0.0.1", port):
        activity.looked(LOOK)
        assert await scraped(port) == {}
        with activity.stretch(STRETCH), activity.fault("paused", "pg-files"):
            assert await scraped(port) == {
                "testbed_turn_active": [({**run, "part": "compare", "arm": "b"}, 1)],
                "testbed_fault_active": [({"fault": "paused", "target": "pg-files"}, 1)],
                "testbed_memory_bytes": [({**run, "process": "pg-files"}, 7)],
            }
        with pytest.raises(RuntimeError), activity.stretch(STRETCH):
            raise RuntimeError
        assert await scraped(port) == {}


async def test_figures_stay_and_the_last_ones_are_read_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "LAST_SCRAPE_S", 60.0)
    activity, (port,) = Activity("r"), ports.free(1)
    async with serving(activity, "127.0.0.1", port):
        activity.found([Figure(CPU_S, {"arm": "a"}, 0.5)])
        await activity.told()  # nobody has asked yet, nobody is waited for
        assert await scraped(port) == {CPU_S: [({"run": "r", "arm": "a"}, 0.5)]}
        activity.found([Figure(CPU_S, {"arm": "a"}, 0.25), Figure(UPLOADS_PER_S, {"arm": "a"}, 4.0)])
        waiting = asyncio.create_task(activity.told())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert (await scraped(port))[UPLOADS_PER_S] == [({"run": "r", "arm": "a"}, 4.0)]
        await waiting


async def test_a_fault_that_is_over_before_anybody_looks_is_told_once() -> None:
    activity, (port,) = Activity("r"), ports.free(1)
    async with serving(activity, "127.0.0.1", port):
        with activity.fault("killed", "upload"):
            pass
        with activity.fault("killed", "upload"):  # a second one in the same time is not another series
            pass
        told = {"testbed_fault_active": [({"fault": "killed", "target": "upload"}, 1)]}
        assert await scraped(port) == told
        assert await scraped(port) == {}
        with activity.fault("killed", "upload"):
            assert await scraped(port) == await scraped(port) == told, "as long as it is in force"
        assert await scraped(port) == {}


async def test_how_far_a_question_is_follows_its_turns() -> None:
    now = [0.0]
    activity, (port,) = Activity("r", clock=lambda: now[0]), ports.free(1)

    async def blocks() -> tuple[float, float]:
        page = await scraped(port)
        ((done_of, done),) = page["testbed_blocks_done"]
        ((wanted_of, wanted),) = page["testbed_blocks_wanted"]
        assert done_of == wanted_of == {"run": "r", "part": "compare"}
        return done, wanted

    async with serving(activity, "127.0.0.1", port):
        activity.asks("compare", 3, 2)
        assert await blocks() == (0, 3)
        with activity.stretch(STRETCH):
            for now[0], done in ((99.0, 0), (102.9, 0), (103.0, 0.5), (106.0, 1), (110.0, 1)):
                assert await blocks() == (done, 3)
        assert await blocks() == (1, 3)
        activity.asks("compare", 5, 2)
        with activity.stretch(STRETCH.model_copy(update={"part": "warm-up"})):
            assert await blocks() == (1, 5), "other parts count for nothing, and nobody asks how far they are"


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
