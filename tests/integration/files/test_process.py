"""Health, settings and metrics of the running process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.buckets import open_to_everybody
from tests.integration.files.conftest import Api, address
from tests.stack import Backends

pytestmark = pytest.mark.integration


async def test_health(api: Api) -> None:
    async with api.session.get(api.url + "/health") as reply:
        assert (reply.status, await reply.text()) == (200, "Files service Working")
    async with api.session.get(api.url + "/ready") as reply:
        assert set((await reply.json())["checks"]) == {"database", "store"}
    async with api.session.get(api.url + "/health/detailed") as reply:
        shown = await reply.json()
    assert shown["checks"]["bucket"] == {
        "ok": True,
        "latency_ms": shown["checks"]["bucket"]["latency_ms"],
        "message": "private",
    }
    async with api.session.get(api.url + "/ping") as reply:
        assert await reply.read() == b'{"status":"pong"}'


async def detailed(api: Api) -> tuple[int, Any]:
    async with api.session.get(api.url + "/health/detailed") as reply:
        return reply.status, await reply.json()


async def test_a_bucket_open_to_everybody_is_reported(api: Api, backends: Backends) -> None:
    async with open_to_everybody(address(backends)):
        async with asyncio.timeout(30):
            while (shown := await detailed(api))[0] == 200:  # an answer is kept for some seconds
                await asyncio.sleep(0.1)
        assert (shown[0], shown[1]["error"], shown[1]["checks"]["bucket"]["ok"]) == (503, "not_ready", False)
        async with api.session.get(api.url + "/ready") as reply:
            assert reply.status == 200


async def test_settings_show_no_secret(api: Api) -> None:
    async with api.session.get(api.admin_url + "/settings") as reply:
        shown = await reply.json()
    assert shown["service"] == "files"
    assert shown["settings"]["PRESIGN_GET_S"] == 600
    assert not {"S3_SECRET_KEY", "DATABASE_URL", "INTERNAL_KEY_UPLOAD_FILES"} & set(shown["settings"])


async def test_metric_families(api: Api) -> None:
    async with api.session.get(api.admin_url + "/metrics") as reply:
        text = await reply.text()
    for family in (
        "http_requests_total",
        "files_presigned_total",
        "files_download_bytes_total",
        "store_request_seconds",
        "db_query_seconds",
        "db_pool_connections",
        "event_loop_lag_seconds",
    ):
        assert f"# TYPE {family} " in text
