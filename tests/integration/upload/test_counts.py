"""Statements and store requests of each kind of upload, exactly, as the process itself counts them."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from services.kit.tokens import CredentialSigner
from tests.integration.upload.conftest import BUCKET, MIB, incompressible
from tests.processes import Running, running_process
from tests.stack import Backends

pytestmark = pytest.mark.integration

GATEWAY_KEY, FILES_KEY, OPERATOR_KEY = "g" * 32, "f" * 32, "o" * 32
BACKGROUND = ("poll_", "clean_", "sweep_", "health")  # not part of any flow


@dataclass(slots=True)
class Client:
    """Speaks to the upload service as the gateway does."""

    http: aiohttp.ClientSession
    process: Running
    user: str = field(default_factory=lambda: str(uuid4()))

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        token = CredentialSigner("gateway", "upload", GATEWAY_KEY, time.time).token(self.user)
        headers = {"X-Service-Token": token, "X-User-ID": self.user, **options.pop("headers", {})}
        async with self.http.request(method, self.process.url + path, headers=headers, **options) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def good(self, method: str, path: str, **options: Any) -> Any:
        status, body = await self.call(method, path, **options)
        assert status == 200, body
        return body

    async def counts(self) -> tuple[Counter[str], Counter[str], float]:
        """Statements and store requests by name, and connections opened to files."""
        async with self.http.get(f"{self.process.admin_url}/metrics") as answer:
            text = await answer.text()
        statements, requests, opened = Counter[str](), Counter[str](), 0.0
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "db_query_seconds_count":
                    statements[sample.labels["statement"]] += int(sample.value)
                elif sample.name == "store_request_seconds_count":
                    requests[sample.labels["op"]] += int(sample.value)
                elif sample.name == "upstream_connections_opened_total":
                    opened += sample.value
        flow = {name: n for name, n in statements.items() if not name.startswith(BACKGROUND)}
        return Counter(flow), requests, opened

    async def proxy(self, sizes: list[int], *, checksum: bool = True) -> str:
        opened = await self.good(
            "POST", "/proxy/session", json={"file_name": "a.bin", "file_size_bytes": sum(sizes)}
        )
        upload: str = opened["upload_uuid"]
        taken: dict[str, Any] = {}
        for index, size in enumerate(sizes):
            data = incompressible(size)
            headers = {"Upload-UUID": upload}
            if checksum:
                headers["Checksum"] = sha256(data).hexdigest()
            taken = await self.good(
                "POST", f"/proxy/chunk?id={index}", data=io.BytesIO(data), headers=headers
            )
        assert taken["status"] == "completed"
        return upload

    async def multipart(self, size: int) -> str:
        opened = await self.good(
            "POST",
            "/multipart/session",
            json={"file_name": "a.bin", "file_size_bytes": size, "part_size_bytes": 5 * MIB},
        )
        for part in opened["parts"]:
            number = part["part_number"]
            data = incompressible(min(5 * MIB, size - (number - 1) * 5 * MIB))
            async with self.http.put(part["url"], data=io.BytesIO(data)) as answer:
                etag = answer.headers["ETag"]
            facts = {"part_number": number, "size_bytes": len(data), "etag": etag}
            await self.good("POST", "/multipart/part", json={"upload_uuid": opened["upload_uuid"], **facts})
        await self.good("POST", "/multipart/complete", json={"upload_uuid": opened["upload_uuid"]})
        return str(opened["upload_uuid"])

    async def single(self, size: int) -> str:
        opened = await self.good(
            "POST", "/single/session", json={"file_name": "a.bin", "file_size_bytes": size}
        )
        async with self.http.put(opened["url"], data=io.BytesIO(incompressible(size))) as answer:
            assert answer.status == 200
        await self.good("POST", "/single/complete", json={"upload_uuid": opened["upload_uuid"]})
        return str(opened["upload_uuid"])


@asynccontextmanager
async def files_service() -> AsyncIterator[str]:
    """An address where every registration is new."""

    async def register(request: web.Request) -> web.Response:
        facts = await request.json()
        return web.json_response({"file_id": facts["file_uuid"], "created": True}, status=201)

    app = web.Application()
    app.router.add_post("/internal/file", register)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def client(backends: Backends) -> AsyncIterator[Client]:
    async with backends.database() as url, files_service() as files_url, aiohttp.ClientSession() as http:
        environment = {
            "DATABASE_URL": url,
            "INTERNAL_KEY_GATEWAY_UPLOAD": GATEWAY_KEY,
            "INTERNAL_KEY_UPLOAD_FILES": FILES_KEY,
            "INTERNAL_KEY_OPERATOR_UPLOAD": OPERATOR_KEY,
            "FILES_URLS": files_url,
            **backends.store_settings(),
            "S3_BUCKET": BUCKET,
        }
        async with running_process("services.upload", environment) as process:
            yield Client(http, process)


FLOWS: dict[str, tuple[str, list[int], dict[str, int], dict[str, int]]] = {
    "proxy, one chunk": (
        "proxy",
        [MIB],
        {"session_insert": 1, "chunk_open": 1, "chunk_accept": 1, "job_finish": 1},
        {"put_object": 1},
    ),
    "proxy, one chunk of 10 MiB": (
        "proxy",
        [10 * MIB],
        {"session_insert": 1, "chunk_open_part": 1, "chunk_accept": 1, "job_finish": 1},
        {"put_object": 1},
    ),
    "proxy, two chunks": (
        "proxy",
        [10 * MIB, 2 * MIB],
        {
            "session_insert": 1,
            "chunk_open_part": 2,
            "session_store_upload": 1,
            "chunk_accept": 2,
            "job_finish": 1,
        },
        {"create_multipart": 1, "upload_part": 2, "complete_multipart": 1},
    ),
    "proxy, three chunks": (
        "proxy",
        [5 * MIB, 5 * MIB, 2 * MIB],
        {
            "session_insert": 1,
            "chunk_open_part": 3,
            "session_store_upload": 1,
            "chunk_accept": 3,
            "job_finish": 1,
        },
        {"create_multipart": 1, "upload_part": 3, "complete_multipart": 1},
    ),
    "proxy, no checksum": (
        "unchecked",
        [MIB],
        {"session_insert": 1, "chunk_open": 1, "chunk_accept": 1, "job_finish": 1},
        {"put_object": 1, "copy_object": 1},
    ),
    "multipart, one part": (
        "multipart",
        [MIB],
        {
            "session_insert": 1,
            "part_register": 1,
            "complete_begin": 1,
            "job_finish": 1,
        },
        {"create_multipart": 1, "complete_multipart": 1},
    ),
    "multipart, three parts": (
        "multipart",
        [12 * MIB],
        {
            "session_insert": 1,
            "part_register": 3,
            "complete_begin": 1,
            "job_finish": 1,
        },
        {"create_multipart": 1, "complete_multipart": 1},
    ),
    "single": (
        "single",
        [MIB],
        {"session_insert": 1, "complete_begin": 1, "job_finish": 1},
        {"head_object": 1},
    ),
}


async def run(client: Client, kind: str, sizes: list[int]) -> str:
    match kind:
        case "proxy":
            return await client.proxy(sizes)
        case "unchecked":
            return await client.proxy(sizes, checksum=False)
        case "multipart":
            return await client.multipart(sizes[0])
        case _:
            return await client.single(sizes[0])


@pytest.mark.parametrize("flow", FLOWS)
async def test_statements_and_store_requests(client: Client, flow: str) -> None:
    kind, sizes, statements, requests = FLOWS[flow]
    before = await client.counts()
    await run(client, kind, sizes)
    after = await client.counts()
    assert after[0] - before[0] == Counter(statements)
    used = after[1] - before[1]
    del used["delete_objects"]  # cleaning of a temporary object, after the answer
    assert used == Counter(requests)


async def test_no_new_connections_in_steady_state(client: Client) -> None:
    await run(client, "proxy", [1000])
    before = await client.counts()
    for _ in range(100):
        await run(client, "proxy", [1000])
    assert (await client.counts())[2] == before[2]


async def test_the_process_shows_every_family(client: Client) -> None:
    async with client.http.get(f"{client.process.admin_url}/metrics") as answer:
        families = {family.name for family in text_string_to_metric_families(await answer.text())}
    assert families >= {
        *("http_requests", "http_request_duration_seconds", "http_in_flight_requests"),
        *("upload_sessions", "upload_sessions_open", "upload_bytes", "upload_chunks"),
        *("upload_chunk_phase_seconds", "upload_parts_registered", "upload_time_to_durable_seconds"),
        *("upload_finalise_seconds", "upload_finalise_jobs", "upload_finalise_oldest_seconds"),
        *("upload_finalise_attempts", "upload_ack_before_durable", "upload_spool_bytes"),
        *("store_request_seconds", "db_query_seconds", "upstream_request_seconds"),
    }
