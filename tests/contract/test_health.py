"""Health, ping, admin ports, and what a process answers when the gateway is passed by."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from tests.contract.api import Api
from tests.stack import System

pytestmark = pytest.mark.contract

HEALTH = {
    "": ("API gateway working", "gateway", {"auth", "upload", "files"}),
    "/auth": ("Auth service healthy", "auth", {"database"}),
    "/api/upload": (
        "Upload service Working",
        "upload",
        {"database", "store", "spool_disk", "finalise_queue"},
    ),
    "/api/files": ("Files service Working", "files", {"database", "store"}),
}


@pytest.mark.parametrize("prefix", HEALTH)
class TestHealth:
    async def test_answers(self, anyone: Api, prefix: str) -> None:
        greeting, service, checks = HEALTH[prefix]
        answer = await anyone.get(f"{prefix}/health")
        assert (answer.status, answer.body.decode()) == (200, greeting)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert await anyone.ok("GET", f"{prefix}/live") == {"status": "alive", "service": service}
        ready = await anyone.ok("GET", f"{prefix}/ready")
        assert (ready["status"], ready["service"]) == ("ready", service)
        assert checks <= set(ready["checks"])
        for check in ready["checks"].values():
            assert set(check) == {"ok", "latency_ms", "message"}
            assert "://" not in check["message"]
        detailed = await anyone.ok("GET", f"{prefix}/health/detailed")
        assert {"version", "uptime_s"} <= set(detailed)

    async def test_ping_is_seventeen_bytes(self, anyone: Api, prefix: str) -> None:
        answer = await anyone.get(f"{prefix}/ping")
        assert (answer.status, answer.body) == (200, b'{"status":"pong"}')
        assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_bare_call_to_a_service_is_refused(anyone: Api, system: System) -> None:
    for part, path in (("auth", "/login"), ("upload", "/sessions"), ("files", "/me/owned")):
        url = system.service(part) + path
        method = "POST" if part == "auth" else "GET"
        for headers in ({}, {"X-User-ID": str(uuid4())}, {"X-Service-Token": "a.b.c"}):
            async with anyone.session.request(method, url, headers=headers) as answer:
                body = await answer.json()
                assert (answer.status, body["error"]) == (401, "service_credential_invalid")
    anyone.seen["service_credential_invalid"] += 1


@pytest.mark.parametrize("part", ["gateway", "auth", "upload", "files"])
class TestAdminPort:
    async def test_settings_hold_no_secret(self, anyone: Api, system: System, part: str) -> None:
        async with anyone.session.get(f"{system.admin(part)}/settings") as answer:
            text = await answer.text()
        shown = json.loads(text)
        assert set(shown) == {"service", "instance", "pid", "started_at", "settings"}
        assert shown["service"] == part
        secrets = {
            value
            for name, value in system.stack.env.items()
            if value and name.endswith(("_SECRET", "_PASSWORD", "_ACCESS_KEY", "_SECRET_KEY"))
        } | {value for name, value in system.stack.env.items() if name.startswith("INTERNAL_KEY_")}
        assert not [secret for secret in secrets if secret in text]

    async def test_figures_as_json_since_a_reset(self, anyone: Api, system: System, part: str) -> None:
        url, wish = f"{system.admin(part)}/metrics", {"Accept": "application/json"}
        async with anyone.session.post(f"{url}/reset") as answer:
            reset = await answer.json()
            assert (answer.status, set(reset)) == (200, {"service", "instance", "pid", "started_at", "since"})
        async with anyone.session.get(url, headers=wish) as answer:
            shown = await answer.json()
        assert {name: shown[name] for name in reset} == reset
        (family,) = [one for name, one in shown["metrics"].items() if name == "http_requests"]
        assert family["type"] == "counter"
        assert sum(sample["value"] for sample in family["samples"]) < 100  # thousands since the start

    async def test_metrics_are_there_only(self, anyone: Api, system: System, part: str) -> None:
        async with anyone.session.get(f"{system.admin(part)}/metrics") as answer:
            text = await answer.text()
            assert answer.status == 200
        for family in ("http_requests_total", "http_request_duration_seconds", "http_in_flight_requests"):
            assert f"\n# TYPE {family.removesuffix('_total')}" in text or f"\n# TYPE {family}" in text
        buckets = [".005", ".01", ".025", ".05", ".1", ".25", ".5", "1.0", "2.5", "5.0", "7.5", "10.0"]
        for bucket in (*buckets, "15.0", "20.0", "30.0", "45.0", "60.0"):
            le = bucket if bucket[0] != "." else f"0{bucket}"
            assert f'le="{le}"' in text
        async with anyone.session.get(f"{system.service(part)}/metrics") as answer:
            assert answer.status == 404
