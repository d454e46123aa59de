"""An orderly stop of the process: what is being finished ends; what does not is let go of."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from tests.integration.upload.conftest import BUCKET
from tests.integration.upload.test_counts import FILES_KEY, GATEWAY_KEY, OPERATOR_KEY, Client
from tests.processes import Running, running_process
from tests.stack import Backends

pytestmark = pytest.mark.integration

DATA = b"some bytes"


@dataclass(slots=True)
class Files:
    """Stands where the files service stands, and keeps registrations waiting."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def register(self, request: web.Request) -> web.Response:
        facts = await request.json()
        self.asked.set()
        await self.answers.wait()
        return web.json_response({"file_id": facts["file_uuid"], "created": True}, status=201)


@asynccontextmanager
async def files_service() -> AsyncIterator[tuple[Files, str]]:
    files, app = Files(), web.Application()
    app.router.add_post("/internal/file", files.register)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield files, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        files.answers.set()
        await runner.cleanup()


def environment(backends: Backends, database_url: str, files_url: str, **more: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "INTERNAL_KEY_GATEWAY_UPLOAD": GATEWAY_KEY,
        "INTERNAL_KEY_UPLOAD_FILES": FILES_KEY,
        "INTERNAL_KEY_OPERATOR_UPLOAD": OPERATOR_KEY,
        "FILES_URLS": files_url,
        **backends.store_settings(),
        "S3_BUCKET": BUCKET,
        **more,
    }


async def send_last_chunk(http: aiohttp.ClientSession, process: Running) -> dict[str, Any]:
    client = Client(http, process)
    facts = {"file_name": "a.bin", "file_size_bytes": len(DATA)}
    opened = await client.good("POST", "/proxy/session", json=facts)
    headers = {"Upload-UUID": opened["upload_uuid"]}
    answer: dict[str, Any] = await client.good(
        "POST", "/proxy/chunk?id=0", data=io.BytesIO(DATA), headers=headers
    )
    return answer


async def no_longer_listens(process: Running) -> None:
    async with aiohttp.ClientSession() as fresh:
        while True:
            try:
                async with fresh.get(f"{process.url}/live"):
                    await asyncio.sleep(0.01)  # a poll: there is no event to wait for
            except aiohttp.ClientError:
                return


async def row_of(database_url: str) -> Mapping[str, Any]:
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow("SELECT *, job_due_at <= now() AS due FROM upload_sessions")
    finally:
        await connection.close()
    assert row is not None
    return dict(row)


@pytest.mark.parametrize(("mode", "answer"), [("inline", "completed"), ("queued", "assembling")])
async def test_what_is_being_finished_ends(
    backends: Backends, database_url: str, mode: str, answer: str
) -> None:
    async with files_service() as (files, files_url), aiohttp.ClientSession() as http:
        settings = environment(backends, database_url, files_url, FINALISE=mode)
        async with running_process("services.upload", settings) as process:
            request = asyncio.create_task(send_last_chunk(http, process))
            await files.asked.wait()

            async def answer_once_it_stops() -> None:
                await no_longer_listens(process)
                files.answers.set()

            stopping = asyncio.create_task(answer_once_it_stops())
        await stopping
        assert (await request)["status"] == answer
        row = await row_of(database_url)
        assert (row["status"], row["lease_owner"]) == ("completed", None)


async def test_what_takes_too_long_is_let_go_of(backends: Backends, database_url: str) -> None:
    async with files_service() as (files, files_url), aiohttp.ClientSession() as http:
        settings = environment(backends, database_url, files_url, FINALISE="queued", SHUTDOWN_S="0.3")
        async with running_process("services.upload", settings) as process:
            await send_last_chunk(http, process)
            await files.asked.wait()
        row = await row_of(database_url)
        assert (row["status"], row["lease_owner"], row["due"]) == ("assembling", None, True)
        assert (row["job_attempts"], row["job_interrupted"]) == (1, 0)
