"""The steps before the proxy: origins, routes, limits and their order."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from gateway.cors import EXPOSED_HEADERS, METHODS, REQUEST_HEADERS
from gateway.routes import RouteTable, entries
from services.kit.clock import World
from services.kit.origins import ORIGINS
from tests.unit.gateway.support import Recorder, bearer, fronting, recorded, serving, token
from tests.unit.gateway.wire import request_bytes, statuses

pytestmark = pytest.mark.contract
LOGIN = ("POST", "/auth/login")


@pytest.mark.parametrize("origin", [*ORIGINS, "https://more.example"])
@pytest.mark.parametrize("path", ["/auth/login", "/api/upload/proxy/chunk", "/nothing", "/health"])
async def test_a_preflight_from_an_allowed_origin_is_204_on_any_path(origin: str, path: str) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Authorization, Content-Type, Upload-UUID, Checksum",
    }
    async with recorded(CORS_ORIGINS=",https://more.example,") as (front, service):
        answer = await front.request("OPTIONS", path, headers)
    assert (answer.status, answer.body, answer.values("Content-Type")) == (204, b"", [])
    assert answer.value("Access-Control-Allow-Origin") == origin
    assert answer.value("Access-Control-Allow-Methods") == METHODS
    assert answer.value("Access-Control-Allow-Headers") == REQUEST_HEADERS
    assert answer.value("Access-Control-Expose-Headers") == EXPOSED_HEADERS
    assert answer.value("Access-Control-Max-Age") == "10800"
    assert answer.values("Access-Control-Allow-Credentials") == []
    assert service.seen == []


@pytest.mark.parametrize(
    "origin",
    ["http://evil", "null", "", "http://localhost:3000/", "HTTP://LOCALHOST:3000", "http://localhost:30000"],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_any_other_origin_is_403(origin: str, method: str) -> None:
    async with recorded() as (front, service):
        answer = await front.request(method, "/auth/login", {"Origin": origin}, b"{}")
    assert (answer.status, answer.error, answer.value("Vary")) == (403, "origin_not_allowed", "Origin")
    assert answer.values("Access-Control-Allow-Origin") == []
    assert service.seen == []


async def test_errors_carry_the_headers_of_the_origin_too() -> None:
    async with recorded() as (front, _):
        answer = await front.request("GET", "/nothing", {"Origin": ORIGINS[0]})
        plain = await front.request("GET", "/nothing")
        options = await front.request("OPTIONS", "/auth/login")
    assert (answer.status, answer.value("Access-Control-Allow-Origin")) == (404, ORIGINS[0])
    assert (plain.value("Vary"), plain.values("Access-Control-Allow-Origin")) == ("Origin", [])
    assert (options.status, options.error) == (405, "method_not_allowed")


PUBLIC = entries()


@pytest.mark.parametrize("entry", PUBLIC, ids=[f"{e.route.method} {e.template}" for e in PUBLIC])
async def test_every_route_of_every_service_is_reached(entry: Any) -> None:
    path = entry.template.replace("{", "").replace("}", "")
    async with recorded() as (front, service):
        headers = {**bearer(), **({"Content-Length": "2"} if entry.route.body != "none" else {})}
        answer = await front.request(entry.route.method, path, headers, b"{}" if len(headers) > 1 else None)
        assert answer.status == 200
        template = entry.template
        assert (
            front.sample("http_requests_total", method=entry.route.method, path=template, status="200") == 1
        )
        asked = [seen.target for seen in service.seen if seen.target != "/live" or template.endswith("/live")]
    assert asked == ([] if entry.own else [path[len(entry.prefix) :]])


async def test_internal_routes_are_not_in_the_table() -> None:
    assert not [entry for entry in PUBLIC if entry.route.internal or "/internal" in entry.template]
    assert RouteTable(PUBLIC).match("POST", "/auth/login")[0].service == "auth"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/auth/login", "POST"), ("DELETE", "/health", "GET, HEAD"), ("PROPFIND", "/live", "GET, HEAD")],
)
async def test_another_method_is_405_with_allow(method: str, path: str, allow: str) -> None:
    async with recorded() as (front, _):
        answer = await front.request(method, path)
        counted = "OTHER" if method == "PROPFIND" else method
        assert front.sample("http_requests_total", method=counted, path="unmatched", status="405") == 1
    assert (answer.status, answer.error, answer.value("Allow")) == (405, "method_not_allowed", allow)


@pytest.mark.parametrize("path", ["/", "/metrics", "/settings", "/bench/status", "/auth", "/api/upload/"])
async def test_anything_else_is_404(path: str) -> None:
    async with recorded() as (front, _):
        answer = await front.request("GET", path)
    assert (answer.status, answer.error) == (404, "route_not_found")
    assert answer.json()["request_id"] == answer.value("X-Request-Id")


async def test_exactly_the_limit_of_an_address_passes() -> None:
    now = [1_000_000_060.0]
    service = Recorder()
    async with (
        serving(service.handle) as port,
        fronting(port, World(now=lambda: now[0]), RATE_LIMIT_IP="5") as front,
    ):
        answers = await asyncio.gather(*(front.request(*LOGIN, None, b"{}") for _ in range(9)))
        refused = [answer for answer in answers if answer.status == 429]
        assert (len(refused), len(service.seen)) == (4, 5)
        assert (refused[0].error, refused[0].value("Retry-After")) == ("rate_limited", "20")
        assert front.sample("rate_limited_total", scope="ip", tier="none") == 4
        assert (await front.request("GET", "/health")).status == 200
        now[0] = 1_000_000_079.9
        assert (await front.request(*LOGIN, None, b"{}")).value("Retry-After") == "1"
        now[0] = 1_000_000_080.0
        assert (await front.request(*LOGIN, None, b"{}")).status == 200


async def test_users_are_counted_apart_by_tier() -> None:
    other, premium = uuid4(), uuid4()
    async with recorded(RATE_LIMIT_TIERS="standard=2,premium=4") as (front, _):

        async def passed(headers: dict[str, str], count: int) -> int:
            answers = [await front.request("GET", "/api/upload/status", headers) for _ in range(count)]
            return sum(answer.status == 200 for answer in answers)

        assert await passed(bearer(), 4) == 2
        assert await passed(bearer(user_id=other, tier="unknown"), 4) == 2
        assert await passed(bearer(user_id=premium, tier="premium"), 6) == 4
        assert front.sample("rate_limited_total", scope="user", tier="standard") == 4
        assert front.sample("rate_limited_total", scope="user", tier="premium") == 2


async def test_limits_can_be_off() -> None:
    async with recorded(RATE_LIMIT="off", RATE_LIMIT_IP="0", RATE_LIMIT_TIERS="standard=0") as (front, _):
        assert (await front.request("GET", "/api/upload/status", bearer())).status == 200


@pytest.mark.parametrize(("trusted", "passes"), [("127.0.0.1", 3), ("10.0.0.0/8", 1)])
async def test_behind_a_trusted_proxy_the_client_is_counted(trusted: str, passes: int) -> None:
    async with recorded(TRUSTED_PROXIES=trusted, RATE_LIMIT_IP="1") as (front, _):
        answers = [
            await front.request(*LOGIN, {"X-Forwarded-For": f"9.9.9.9, 8.8.8.{index}"}, b"{}")
            for index in range(3)
        ]
    assert sum(answer.status == 200 for answer in answers) == passes


async def test_the_order_of_the_steps() -> None:
    """A request that is wrong in every way is refused by the outermost step, then by the next."""
    async with recorded(RATE_LIMIT_IP="0", RATE_LIMIT_TIERS="standard=0") as (front, _):
        bad = {"Origin": "http://evil", "Authorization": "Bearer abc"}
        assert (await front.request("GET", "/nothing", bad)).error == "origin_not_allowed"
        del bad["Origin"]
        assert (await front.request("GET", "/nothing", bad)).error == "route_not_found"
        assert (await front.request("GET", "/api/upload/status", bad)).error == "rate_limited"
    async with recorded(RATE_LIMIT_TIERS="standard=0") as (front, _):
        assert (await front.request("GET", "/api/upload/status", bad)).error == "token_malformed"
        line = f"Authorization: Bearer {token()}"
        head = request_bytes("POST /api/upload/proxy/chunk", line, "Transfer-Encoding: chunked")
        received = await front.raw(head + b"0\r\n\r\n" + request_bytes("GET /live", "Connection: close"))
        assert statuses(received) == [429, 200]
