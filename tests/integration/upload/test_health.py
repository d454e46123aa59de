"""What the process says of its bucket and of its disk."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from services.kit.s3 import S3Address
from services.upload.background import Gauges
from services.upload.settings import Settings
from tests.buckets import open_to_everybody
from tests.environment import load
from tests.integration.upload.conftest import bench_of
from tests.integration.upload.test_stop import environment
from tests.processes import running_process
from tests.stack import Backends

pytestmark = pytest.mark.integration


async def test_a_bucket_open_to_everybody_is_reported(backends: Backends, database_url: str) -> None:
    settings = environment(backends, database_url, "http://127.0.0.1:1", S3_BUCKET="upload-tests-open")
    address = S3Address.of(load(Settings, {"PORT": "1", **settings}))
    async with (
        running_process("services.upload", settings) as process,
        aiohttp.ClientSession() as http,
    ):

        async def detailed() -> tuple[int, dict[str, object]]:
            async with http.get(f"{process.url}/health/detailed") as answer:
                found = (await answer.json())["checks"]["bucket"]
                return answer.status, {key: found[key] for key in ("ok", "message")}

        assert await detailed() == (200, {"ok": True, "message": "private"})
        open_bucket = {"ok": False, "message": "a policy lets everybody into the bucket"}
        async with open_to_everybody(address), asyncio.timeout(30):
            while (shown := await detailed())[0] == 200:  # an answer is kept for some seconds
                await asyncio.sleep(0.1)
            assert shown == (503, open_bucket)
            async with http.get(f"{process.url}/ready") as answer:
                assert answer.status == 200


async def test_the_bytes_on_disk_are_counted(own_settings: Settings) -> None:
    async with bench_of(own_settings.model_copy(update={"chunk_store": "disk"})) as bench:
        gauges = Gauges(bench.tables.jobs, bench.base.metrics, bench.base.spool)
        for slices, size_bytes in enumerate((0, 10, 20)):
            if slices:
                await bench.send(await bench.open(100), 0, b"0123456789")
            await gauges.read()
            assert bench.base.metrics.registry.get_sample_value("upload_spool_bytes") == size_bytes
