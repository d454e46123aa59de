"""The steps before the proxy: origins, routes, limits, tokens, health, and what is counted and logged."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from aiohttp import web

from gateway.cors import EXPOSED_HEADERS, METHODS, ORIGINS, REQUEST_HEADERS
from gateway.routes import RouteTable, entries
from services.kit.clock import World
from tests.unit.gateway.support import (
    KEY,
    USER,
    Recorder,
    Seen,
    bearer,
    fronting,
    recorded,
    request_bytes,
    serving,
    statuses,
    token,
    until,
)

pytestmark = pytest.mark.contract
LOGIN = ("POST", "/auth/login")


# --- origins -----------------------------------------------------------------------------------------


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


# --- routes ------------------------------------------------------------------------------------------

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


# --- tokens ------------------------------------------------------------------------------------------


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "user_id": str(USER),
        "username": "u",
        "email": "e",
        "tier": "standard",
        "iss": "testbed-auth",
        "aud": "testbed",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid4()),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _signed(algorithm: str = "HS256", key: str = KEY, **changes: Any) -> str:
    return "Bearer " + jwt.encode(_claims(**changes), key, algorithm=algorithm)


REFUSED_TOKENS = {
    "absent": (None, "authentication_required"),
    "basic": ("Basic dTpw", "token_malformed"),
    "no scheme": (token(), "token_malformed"),
    "empty": ("Bearer ", "token_malformed"),
    "not a token": ("Bearer abc", "token_malformed"),
    "three parts of nothing": ("Bearer a.b.c", "token_malformed"),
    "huge": ("Bearer " + "a" * 5_000, "token_malformed"),
    "alg none": (f"Bearer {_part({'alg': 'none'})}.{_part(_claims())}.", "token_invalid"),
    "alg NoNe": (f"Bearer {_part({'alg': 'NoNe'})}.{_part(_claims())}.", "token_invalid"),
    "alg HS512": (_signed("HS512", KEY * 2), "token_invalid"),
    "wrong key": (_signed(key="x" * 32), "token_invalid"),
    "wrong issuer": (_signed(iss="other"), "token_invalid"),
    "wrong audience": (_signed(aud="other"), "token_invalid"),
    "expired": (_signed(exp=int(time.time()) - 1), "token_expired"),
    "no user": (_signed(user_id=None), "token_invalid"),
    "no jti": (_signed(jti=None), "token_invalid"),
    "no iat": (_signed(iat=None), "token_invalid"),
    "no exp": (_signed(exp=None), "token_invalid"),
    "user is a number": (_signed(user_id=5), "token_invalid"),
    "tier is a list": (_signed(tier=["standard"]), "token_invalid"),
}


@pytest.mark.parametrize("name", REFUSED_TOKENS)
async def test_a_bad_token_is_401_with_its_reason(name: str) -> None:
    given, code = REFUSED_TOKENS[name]
    async with recorded() as (front, service):
        headers = {"Authorization": given} if given is not None else {}
        for method in ("GET", "GET"):  # the second time from the cache, if anything were cached
            answer = await front.request(method, "/api/upload/status", headers)
            assert (answer.status, answer.error) == (401, code)
            assert answer.value("WWW-Authenticate") == "Bearer"
        ignored = await front.request(*LOGIN, headers, b"{}")
        assert ignored.status == 200
    assert len(service.seen) == 1


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_compared_without_case(scheme: str) -> None:
    async with recorded() as (front, service):
        answer = await front.request("GET", "/api/upload/status", {"Authorization": f"{scheme} {token()}"})
    assert (answer.status, service.seen[0].value("X-User-ID")) == (200, str(USER))


async def test_two_authorization_headers_are_malformed() -> None:
    async with recorded() as (front, _):
        line = f"Authorization: Bearer {token()}"
        received = await front.raw(request_bytes("GET /api/upload/status", line, line, "Connection: close"))
    assert statuses(received) == [401]


async def test_an_optional_token_is_checked_when_it_is_there() -> None:
    path = "/api/files/f/00000000-0000-4000-8000-000000000001"
    async with recorded() as (front, service):
        assert (await front.request("GET", path)).status == 200
        assert (await front.request("GET", path, bearer())).status == 200
        assert (await front.request("GET", path, {"Authorization": "Bearer abc"})).status == 401
    assert [seen.values("X-User-ID") for seen in service.seen] == [[], [str(USER)]]


async def test_a_cached_token_still_expires() -> None:
    now = [time.time()]
    service = Recorder()
    async with serving(service.handle) as port, fronting(port, World(now=lambda: now[0])) as front:
        headers = bearer()
        assert (await front.request("GET", "/api/upload/status", headers)).status == 200
        now[0] += 3_601
        answer = await front.request("GET", "/api/upload/status", headers)
    assert (answer.status, answer.error) == (401, "token_expired")


# --- limits ------------------------------------------------------------------------------------------


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


# --- health, log, metrics ----------------------------------------------------------------------------


async def test_the_gateways_own_health_routes() -> None:
    async with recorded(RATE_LIMIT_IP="0") as (front, _):
        greeting = await front.request("GET", "/health", {"Authorization": "nonsense"})
        live = await front.request("GET", "/live")
        ready = await front.request("GET", "/ready")
        detailed = await front.request("GET", "/health/detailed")
        ping = await front.request("GET", "/ping")
    assert (greeting.status, greeting.body) == (200, b"API gateway working")
    assert greeting.value("Content-Type").startswith("text/plain")
    assert live.json() == {"status": "alive", "service": "gateway"}
    assert (ready.status, ready.json()["status"]) == (200, "ready")
    assert {name: check["ok"] for name, check in ready.json()["checks"].items()} == {
        "auth": True,
        "upload": True,
        "files": True,
    }
    assert {"version", "uptime_s"} <= set(detailed.json())
    assert (ping.body, ping.value("Content-Type")) == (b'{"status":"pong"}', "application/json")
    assert len(ping.body) == 17


async def test_a_service_that_is_down_makes_the_gateway_not_ready() -> None:
    service = Recorder()
    async with serving(service.handle) as port, fronting(port, FILES_URLS="http://127.0.0.1:1") as front:
        ready = await front.request("GET", "/ready")
        assert front.lines()[-1]["error"] == "not_ready"
    assert (ready.status, ready.error) == (503, "not_ready")
    assert {name for name, check in ready.json()["checks"].items() if not check["ok"]} == {"files"}
    assert "127.0.0.1" not in ready.body.decode()


async def test_one_line_per_request_with_what_happened_and_no_secret() -> None:
    async with recorded() as (front, _):
        headers = {**bearer(), "X-Request-Id": "00000000-0000-4000-8000-00000000000a"}
        await front.request("POST", "/api/upload/proxy/session?secret=1", headers, b'{"file_name":"private"}')
        await front.request("GET", "/nothing/private")
        await front.request("GET", "/ping")
        await front.request("GET", "/auth/ping")
        first, second = front.lines()
        text = front.log_path.read_text()
    assert first.pop("duration_ms") > 0
    assert first.pop("time")
    assert first == {
        "level": "info",
        "service": "gateway",
        "instance": "test",
        "event": "request",
        "request_id": "00000000-0000-4000-8000-00000000000a",
        "method": "POST",
        "user_id": str(USER),
        "route": "/api/upload/proxy/session",
        "status": 200,
        "error": None,
        "bytes_in": 23,
        "bytes_out": 12,
    }
    assert (second["route"], second["status"], second["error"]) == ("unmatched", 404, "route_not_found")
    assert not [word for word in ("private", "secret", "Bearer", "example.org", KEY) if word in text]


async def test_an_unexpected_fault_is_500_for_that_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with recorded() as (front, _):

        def broken(*_: Any) -> None:
            raise RuntimeError("bug at /home/someone")

        with monkeypatch.context() as patched:
            patched.setattr(type(front.gateway.pipeline.limits), "per_ip", broken)
            answer = await front.request(*LOGIN, None, b"{}")
        assert (answer.status, answer.error) == (500, "internal_error")
        assert b"bug" not in answer.body
        assert "RuntimeError" in front.log_path.read_text()
        assert (await front.request(*LOGIN, None, b"{}")).status == 200


async def test_replicas_share_the_work_fewest_exchanges_first() -> None:
    held = asyncio.Event()

    def make(name: str, block: bool) -> tuple[list[str], Any]:
        seen: list[str] = []

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            seen.append(name)
            if block:
                await held.wait()
            return web.json_response({})

        return seen, handle

    (stuck, stuck_handle), (free, free_handle) = make("a", True), make("b", False)
    async with serving(stuck_handle) as one, serving(free_handle) as two:
        urls = f"http://127.0.0.1:{one},http://127.0.0.1:{two}"
        async with fronting(one, UPLOAD_URLS=urls) as front:
            first = [
                asyncio.create_task(front.request("GET", "/api/upload/status", bearer())) for _ in range(2)
            ]
            await until(lambda: bool(stuck))
            for _ in range(5):
                assert (await front.request("GET", "/api/upload/status", bearer())).status == 200
            held.set()
            await asyncio.gather(*first)
    assert (len(stuck), len(free)) == (1, 6)


def _status(seen: Seen) -> web.Response:
    return web.json_response({}, status=503, headers={"X-Error-Code": "overloaded", "Retry-After": "1"})


async def test_what_upstreams_answer_is_measured_by_result() -> None:
    async with recorded(_status) as (front, _):
        answer = await front.request(*LOGIN, None, b"{}")
        assert answer.value("Retry-After") == "1"
        assert front.sample("upstream_request_seconds_count", upstream="auth", result="server_fault") == 1
        assert front.lines()[-1]["error"] == "overloaded"
