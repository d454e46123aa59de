"""``CACHE=redis`` in two files processes: what one changes, the other never shows as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from services.kit.clock import World
from services.kit.tokens import CredentialSigner
from tests.integration.files.conftest import GATEWAY_KEY, UPLOAD_KEY, registration
from tests.processes import Running, running_process
from tests.redis_server import RedisServer
from tests.stack import Backends

pytestmark = pytest.mark.integration


@dataclass(slots=True)
class Pair:
    one: Running
    other: Running
    session: aiohttp.ClientSession

    async def call(
        self, process: Running, method: str, path: str, user: UUID | None, body: Any = None
    ) -> tuple[int, Any]:
        signer = CredentialSigner("gateway", "files", GATEWAY_KEY, World().now)
        headers = {"X-Service-Token": signer.token(str(user) if user else None)}
        headers |= {"X-User-ID": str(user)} if user else {}
        async with self.session.request(method, process.url + path, headers=headers, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def file_of(self, user: UUID) -> str:
        signer = CredentialSigner("upload", "files", UPLOAD_KEY, World().now)
        body = registration(user, uuid4())
        headers = {"X-Service-Token": signer.token(None)}
        async with self.session.post(f"{self.one.url}/internal/file", headers=headers, json=body) as answer:
            assert answer.status == 201
        return f"/f/{body['file_uuid']}"

    async def looks(self, process: Running, result: str) -> float:
        async with self.session.get(f"{process.admin_url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        wanted = f'cache_lookups_total{{result="{result}"}} '
        return next(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


@pytest.fixture
async def pair(backends: Backends, database_url: str, server: RedisServer) -> AsyncIterator[Pair]:
    environment = {
        **backends.store_settings(),
        "S3_BUCKET": "files-redis-tests",
        "DATABASE_URL": database_url,
        "INTERNAL_KEY_GATEWAY_FILES": GATEWAY_KEY,
        "INTERNAL_KEY_UPLOAD_FILES": UPLOAD_KEY,
        "INTERNAL_KEY_FILES_AUTH": UPLOAD_KEY,
        "INTERNAL_KEY_OPERATOR_FILES": UPLOAD_KEY,
        "AUTH_URLS": "http://127.0.0.1:9",
        "FILES_REPLICAS": "2",
        "CACHE": "redis",
        "CACHE_TTL_S": "600",  # what is stale would stay so for the whole test
        "REDIS_URL": server.url,
        "REDIS_TIMEOUT_S": "2",
    }
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running_process("services.files", environment))
        other = await stack.enter_async_context(running_process("services.files", environment))
        yield Pair(one, other, await stack.enter_async_context(aiohttp.ClientSession()))


async def test_what_one_process_changes_the_other_shows(pair: Pair, server: RedisServer) -> None:
    me, you = uuid4(), uuid4()
    path = await pair.file_of(me)
    for process in (pair.one, pair.other):
        assert (await pair.call(process, "GET", path, me))[1]["name"] == "a.txt"
    assert await pair.looks(pair.other, "hit") == 1
    # A row belongs to its reader: what the owner read opens nothing to others.
    assert (await pair.call(pair.other, "GET", path, you))[0] == 404
    assert (await pair.call(pair.other, "GET", path, None))[0] == 404

    for number in range(5):
        changed, seen_by = (pair.one, pair.other) if number % 2 else (pair.other, pair.one)
        await pair.call(seen_by, "GET", path, me)  # kept, whoever reads
        name = f"{number}.txt"
        assert (await pair.call(changed, "PATCH", path, me, {"name": name}))[0] == 204
        assert (await pair.call(seen_by, "GET", path, me))[1]["name"] == name
        assert (await pair.call(seen_by, "GET", f"{path}/download", me))[1]["file_name"] == name

    # Also under the other spelling of its id.
    upper = f"/f/{path.removeprefix('/f/').upper()}"
    assert (await pair.call(pair.one, "PATCH", upper, me, {"name": "b.txt"}))[0] == 204
    assert (await pair.call(pair.other, "GET", path, me))[1]["name"] == "b.txt"

    server.freeze()  # nobody can be told: a change is still made
    try:
        assert (await pair.call(pair.one, "GET", path, me))[1]["name"] == "b.txt"
        assert (await pair.call(pair.one, "PATCH", path, me, {"name": "c.txt"}))[0] == 204
        assert (await pair.call(pair.one, "GET", path, me))[1]["name"] == "c.txt"
    finally:
        server.thaw()

    second = await pair.file_of(me)
    await pair.call(pair.other, "GET", second, me)
    assert (await pair.call(pair.other, "DELETE", second, me))[0] == 204
    assert (await pair.call(pair.other, "GET", second, me))[0] == 404


async def test_a_change_that_failed_forgets_too(pair: Pair) -> None:
    me = uuid4()
    path = await pair.file_of(me)
    await pair.call(pair.one, "GET", path, me)
    assert (await pair.call(pair.one, "PATCH", path, me, {"name": ""}))[0] == 400
    before = await pair.looks(pair.one, "miss")
    await pair.call(pair.one, "GET", path, me)
    assert await pair.looks(pair.one, "miss") == before + 1
