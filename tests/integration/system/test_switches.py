"""Redis, pooler and pool size, started as ``make up`` starts them; what each value of ``CACHE`` saves."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from compose import stack
from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import PASSWORD
from tests.contract.flows import MIB, Proxy
from tests.integration.system.test_exact_counts import STATEMENTS, Counters, of_work
from tests.stack import System, running_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
CHOSEN = {
    "RATE_LIMIT_BACKEND": "redis",
    "CACHE": "redis",
    "POOLER": "pgbouncer",
    "DB_POOL_MAX": "7",
    "REDIS_TIMEOUT_S": "2",  # the machine of a test is slow, Redis is not
    "CACHE_TTL_S": "600",
}


@pytest.fixture(scope="module")
def switched() -> Iterator[System]:
    with running_system(chosen=CHOSEN) as started:
        yield started


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
async def user(switched: System, http: aiohttp.ClientSession, request: pytest.FixtureRequest) -> Api:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    anyone = Api(http, switched.gateway, Counter())
    body = {"username": name, "email": f"{name}@switches.example", "password": PASSWORD}
    return Api(
        http, switched.gateway, Counter(), (await anyone.ok("POST", "/auth/signup", json=body))["token"]
    )


async def settings_of(switched: System, http: aiohttp.ClientSession, part: str) -> dict[str, Any]:
    async with http.get(f"{switched.admin(part)}/settings") as answer:
        found: dict[str, Any] = (await answer.json())["settings"]
    return found


async def restarted(switched: System, part: str, **environment: str) -> None:
    """As an arm of an experiment does it."""
    await asyncio.to_thread(switched.stack.control, "restart", part, env=environment)
    await asyncio.to_thread(stack.wait_healthy, switched.stack)


async def test_everything_asked_for_runs_and_is_in_effect(
    switched: System, http: aiohttp.ClientSession, user: Api
) -> None:
    rows = switched.stack.rows()
    assert {rows[part]["state"] for part in ("redis", "pgbouncer")} == {"healthy"}
    assert rows["redis"]["version"]
    assert (await settings_of(switched, http, "gateway"))["RATE_LIMIT_BACKEND"] == "redis"
    for part in ("upload", "files"):
        found = await settings_of(switched, http, part)
        assert (found["CACHE"], found["POOLER"], found["DB_POOL_MAX"]) == ("redis", "pgbouncer", 7)
    checks = (await user.ok("GET", "/health/detailed"))["checks"]
    assert checks["redis"]["ok"] is True
    for service in ("files", "upload"):
        assert (await user.ok("GET", f"/api/{service}/health/detailed"))["checks"]["redis"]["ok"] is True


@pytest.mark.parametrize("cache", ["none", "memory", "redis"])
async def test_what_a_cache_saves(
    switched: System, http: aiohttp.ClientSession, user: Api, cache: str
) -> None:
    """An upload costs the same with each: its look-ups are decisions. Reads that repeat cost nothing."""
    for part in ("upload", "files"):
        await restarted(switched, part, CACHE=cache)
        assert (await settings_of(switched, http, part))["CACHE"] == cache
    counters, kept = Counters(switched, http), cache != "none"

    async def cost(part: str, *calls: tuple[str, str, Any]) -> int:
        before = await counters.read()
        for method, path, body in calls:
            assert (await user.call(method, path, json=body)).status in {200, 204, 404}
        return sum(of_work(await counters.read() - before, part, STATEMENTS).values())

    before = await counters.read()
    upload = await flows.start(Proxy(), user, bytes(MIB))
    assert (await Proxy().send(upload, 0)).json["status"] == "completed"
    spent = await counters.read() - before
    assert sum(of_work(spent, "upload", STATEMENTS).values()) == 4
    assert sum(of_work(spent, "files", STATEMENTS).values()) == 1

    status = ("GET", f"/api/upload/status?upload_uuid={upload.uuid}", None)
    assert await cost("upload", status, status, status) == (1 if kept else 3)
    begun = await flows.start(Proxy(MIB), user, bytes(2 * MIB))
    open_status = ("GET", f"/api/upload/status?upload_uuid={begun.uuid}", None)
    assert await cost("upload", open_status, open_status, open_status) == 3

    file = f"/api/files/f/{upload.uuid}"
    look, link = ("GET", file, None), ("GET", f"{file}/download", None)
    assert await cost("files", look, look, look) == (1 if kept else 3)
    assert await cost("files", link, link) == (0 if kept else 2)
    assert await cost("files", ("PATCH", file, {"name": "b.bin"})) == 1
    assert await cost("files", look, link) == (1 if kept else 2)
    assert (await user.ok("GET", file))["name"] == "b.bin"
    assert await cost("files", ("DELETE", file, None)) == 2
    assert await cost("files", look, look) == 2, "what is not there is asked for each time"


async def test_statements_go_through_the_pooler_unless_an_arm_says_otherwise(
    switched: System, user: Api
) -> None:
    connection = await asyncpg.connect(switched.database_url("upload"))
    allowed = int(await connection.fetchval("SHOW max_connections"))
    await connection.close()
    assert allowed == int(switched.stack.env["PG_UPLOAD_CONNECTIONS"]) == 100

    await flows.run(Proxy(), user, b"pooled")
    assert await askers(switched) == {"service"}
    await restarted(switched, "upload", POOLER="none")
    await asyncio.to_thread(switched.stack.control, "stop", "pgbouncer")
    assert (await user.call("GET", "/api/upload/sessions")).status == 200
    assert await askers(switched) == {"service"}
    assert (await user.call("GET", "/api/files/me/owned")).status == 503
    await asyncio.to_thread(switched.stack.control, "restart", "pgbouncer")
    await restarted(switched, "upload")
    await flows.run(Proxy(), user, b"pooled again")


async def askers(switched: System) -> set[str]:
    """The roles under which upload's statements run, whatever is between."""
    sql = """SELECT DISTINCT usename FROM pg_stat_activity
             WHERE application_name = 'upload'"""
    connection = await asyncpg.connect(switched.database_url("upload"))
    found = {row["usename"] for row in await connection.fetch(sql)}
    await connection.close()
    return found
