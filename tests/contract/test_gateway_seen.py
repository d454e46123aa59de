"""What operators see of the gateway: health, log and metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.unit.gateway.support import KEY, USER, Recorder, Seen, bearer, fronting, recorded, serving
from tests.unit.gateway.wire import until

pytestmark = pytest.mark.contract
LOGIN = ("POST", "/auth/login")


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
        "admission": True,
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
    assert first.pop("duration_ms") > first.pop("upstream_ms") > 0
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
        "upload_uuid": None,
        "statements": 0,
        "sql_ms": 0.0,
        "store_requests": 0,
        "store_ms": 0.0,
    }
    assert (second["route"], second["status"], second["error"]) == ("unmatched", 404, "route_not_found")
    assert not [word for word in ("private", "secret", "Bearer", "example.org", KEY) if word in text]


async def test_an_unexpected_fault_is_500_for_that_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with recorded() as (front, _):

        def broken(*_: Any) -> None:
            raise RuntimeError("bug at /home/someone")

        with monkeypatch.context() as patched:
            patched.setattr(type(front.boundary.pipeline.limits), "check", broken)
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
            replicas = front.boundary.pipeline.proxy._pools["upload"].replicas
            first = [
                asyncio.create_task(front.request("GET", "/api/upload/status", bearer())) for _ in range(2)
            ]
            for _ in range(5):
                await until(lambda: bool(stuck and free) and [one.running for one in replicas] == [1, 0])
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
