"""Health, settings and metrics of the running process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.kit.s3.bucket import sdk
from tests.integration.files.conftest import BUCKET, Api, address
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
    assert shown["bucket_cors"] in {"bucket", "server"}
    async with api.session.get(api.url + "/ping") as reply:
        assert await reply.read() == b'{"status":"pong"}'


async def test_a_bucket_open_to_everybody_is_reported(api: Api, backends: Backends) -> None:
    client = sdk(address(backends))
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await asyncio.to_thread(client.set_bucket_policy, BUCKET, policy)
    try:
        status, shown = 200, dict[str, Any]()
        while status == 200:  # an answer may be 2 s old; bounded by the test's time limit
            async with api.session.get(api.url + "/health/detailed") as reply:
                status, shown = reply.status, await reply.json()
            await asyncio.sleep(0.05)
        assert (status, shown["error"], shown["checks"]["bucket"]["ok"]) == (503, "not_ready", False)
        async with api.session.get(api.url + "/ready") as reply:
            assert reply.status == 200
    finally:
        await asyncio.to_thread(client.delete_bucket_policy, BUCKET)


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
