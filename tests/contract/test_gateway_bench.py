"""The routes for experiments: what they answer, what their knobs do, and what is out of range."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest

from services.kit.clock import World
from tests.unit.gateway.support import KEY, USER, Front, bearer, fronting, recorded
from tests.unit.gateway.wire import until

pytestmark = pytest.mark.contract
ON = {"BENCH_ENDPOINTS": "1"}
PATHS = [
    ("GET", "/bench/status"),
    ("GET", "/bench/echo"),
    ("POST", "/bench/echo"),
    ("GET", "/bench/users"),
    ("GET", "/bench/browse"),
    ("POST", "/bench/submit"),
]


async def get(front: Front, path: str) -> Any:
    received = await front.request("GET", path, bearer())
    assert received.status == 200, received.body
    return received.json()


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_off_they_do_not_exist(method: str, path: str) -> None:
    async with recorded() as (front, _):
        refused = await front.request(method, path, bearer())
    assert (refused.status, refused.error) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/bench/users"), ("GET", "/bench/browse"), ("POST", "/bench/submit")]
)
async def test_some_need_a_token(method: str, path: str) -> None:
    async with recorded(None, **ON) as (front, _):
        refused = await front.request(method, path)
    assert (refused.status, refused.error) == (401, "authentication_required")


async def test_they_pass_the_limits() -> None:
    async with recorded(None, RATE_LIMIT_IP="1", **ON) as (front, _):
        assert (await front.request("GET", "/bench/echo?items=0")).status == 200
        assert (await front.request("GET", "/bench/echo?items=0")).status == 429
        assert (await front.request("GET", "/live")).status == 200


async def test_answers() -> None:
    async with recorded(None, **ON) as (front, _):
        status = await get(front, "/bench/status")
        assert set(status) == {
            "service",
            "pid",
            "started_at",
            "uptime_s",
            "requests",
            "in_flight",
            "settings",
        }
        assert (status["service"], status["in_flight"]) == ("gateway", 1)
        assert KEY not in str(status)
        assert status["settings"]["MAX_CCU"] == 5_000
        assert (await get(front, "/bench/echo"))["count"] == 100
        assert await get(front, "/bench/echo?items=2") == {
            "items": [{"id": 0, "value": "item-0"}, {"id": 1, "value": "item-1"}],
            "count": 2,
        }
        many = await get(front, "/bench/echo?items=10000")
        assert (many["count"], many["items"][-1]["value"]) == (10_000, "item-9999")
        assert len((await get(front, "/bench/users"))["users"]) == 20
        assert await get(front, "/bench/users?count=0") == {"users": [], "count": 0}
        browsed = await get(front, "/bench/browse")
        assert (browsed["user_id"], len(browsed["items"])) == (str(USER), 10)
        assert (await get(front, "/bench/status"))["requests"] == status["requests"] + 7


async def test_what_is_sent() -> None:
    async with recorded(None, **ON) as (front, _):
        echoed = await front.request("POST", "/bench/echo", {"Content-Type": "text/x-odd"}, b"any thing")
        assert (echoed.body, echoed.value("Content-Type")) == (b"any thing", "text/x-odd")
        full = await front.request("POST", "/bench/echo", None, bytes(65_536))
        assert (full.status, full.body) == (200, bytes(65_536))
        large = await front.request("POST", "/bench/echo", None, bytes(65_537))
        assert (large.status, large.error) == (413, "body_too_large")
        taken = await front.request("POST", "/bench/submit", bearer(), b'{"a": 1}')
        assert taken.json() == {"accepted": True, "bytes": 8}
        for body in (b"[]", b"{", b""):
            refused = await front.request("POST", "/bench/submit", bearer(), body)
            assert (refused.status, refused.error) == (400, "invalid_json")


@pytest.mark.parametrize(
    "query",
    [
        "cpu=-1",
        "cpu=100000001",
        "cpu=1.0",
        "cpu=",
        "cpu=1&cpu=1",
        "mem_mb=257",
        "mem_mode=other",
        "sleep_ms=60001",
        "fail_p=1.1",
        "fail_p=-0.1",
        "fail_p=nan",
        "fail_status=501",
        "items=10001",
        "items=x",
    ],
)
async def test_out_of_range_is_refused_and_costs_nothing(query: str) -> None:
    async with recorded(None, **ON) as (front, _):
        refused = await front.request(
            "GET", f"/bench/echo?sleep_ms=5000&{query}".replace("sleep_ms=5000&sleep_ms", "sleep_ms")
        )
    assert (refused.status, refused.error) == (400, "invalid_query")


async def test_knobs_do_what_they_say() -> None:
    async with recorded(None, **ON) as (front, _):
        began = perf_counter()
        await get(front, "/bench/browse?sleep_ms=150")
        assert perf_counter() - began >= 0.15
        began = perf_counter()
        await get(front, "/bench/browse?cpu=2000000")
        assert perf_counter() - began >= 0.03
        for mode in ("alloc", "touch"):
            await get(front, f"/bench/browse?mem_mb=8&mem_mode={mode}")
        for status in (500, 502, 503, 504):
            failed = await front.request("GET", f"/bench/echo?fail_p=1&fail_status={status}")
            assert (failed.status, failed.error) == (status, "injected_fault")


async def test_faults_come_with_their_chance() -> None:
    world = replace(World(), rng=random.Random(7))
    async with fronting(1, world, **ON) as front:
        statuses = [(await front.request("GET", "/bench/echo?fail_p=0.3")).status for _ in range(200)]
    assert 40 <= statuses.count(500) <= 80
    assert set(statuses) == {200, 500}


async def test_defaults_are_settings() -> None:
    settings = {"LOAD_FAIL_P": "1", "LOAD_SLEEP_MS": "10", "LOAD_MEM_MB": "1", "MEM_MODE": "touch"}
    async with recorded(None, **ON, **settings, LOAD_CPU_ITERATIONS="10") as (front, _):
        assert (await front.request("GET", "/bench/echo")).status == 500
        assert (await front.request("GET", "/bench/echo?fail_p=0")).status == 200
        assert (await front.request("GET", "/bench/status")).status == 200


async def test_a_waiting_request_takes_a_place_of_admission_control() -> None:
    async with recorded(None, ADMISSION_WORKERS="1", ADMISSION_QUEUE="0", **ON) as (front, _):
        slow = asyncio.create_task(front.request("GET", "/bench/echo?sleep_ms=300"))
        await until(lambda: front.sample("admission_running") == 1)
        assert (await front.request("GET", "/bench/echo")).error == "overloaded"
        assert (await slow).status == 200
