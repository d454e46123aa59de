"""One of two upload processes stands still in the middle of repacks, for longer than a lease, and goes on.

The other takes its jobs over meanwhile. Every file that was acknowledged is read back byte for byte.
"""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

import aiohttp
import asyncpg
import pytest

from compose import scaling
from loadtests.harness.clients.users import Identity, sign_up
from tests.adversity.bench import MIB, until
from tests.stack import System, running_system

pytestmark = [pytest.mark.adversity, pytest.mark.timeout(600)]

SLICES = ([MIB, 6 * MIB], [MIB, 5 * MIB, 4 * MIB], [2 * MIB, 5 * MIB, MIB])
Body = Callable[[], dict[str, Any]]  # aiohttp's words for a body, anew for each attempt
CLIENTS, TAKEOVERS = 4, 4
FREEZES = 30  # at most: what is frozen may just have ended
LEASE_S = "1"
PASSING = {0, 500, 502, 503, 504}
# A job that was just taken over must not be frozen again at once: each time its lease gets longer, and who
# sent the file would wait as long as the freezing goes on.
REPACKS = """SELECT count(*) FROM upload_sessions
  WHERE left(lease_owner, -37) = $1 AND job_step IN ('joined', 'store') AND job_acquired = 1"""
HOLDS = "SELECT count(*) FROM upload_sessions WHERE left(lease_owner, -37) = $1"
TAKEN = "SELECT count(*) FROM upload_sessions WHERE job_acquired > 1"


@pytest.fixture(scope="module")
def scaled() -> Iterator[System]:
    with running_system(chosen={"TOPOLOGY": "scaled", "REPLICAS": "2", "LEASE_S": LEASE_S}) as started:
        yield started


def body_of(data: bytes) -> dict[str, Any]:
    return {"data": io.BytesIO(data)}


@dataclass(slots=True)
class Uploader:
    """Uploads odd slices, sending again what may pass, and remembers what was acknowledged."""

    http: aiohttp.ClientSession
    gateway: str
    identity: Identity
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[int, Any]] = field(default_factory=list)

    async def keep_uploading(self, over: asyncio.Event) -> None:
        while not over.is_set():
            for sizes in SLICES:
                await self.upload([secrets.token_bytes(size) for size in sizes])

    async def upload(self, slices: list[bytes]) -> None:
        facts = {"file_name": "odd.bin", "file_size_bytes": sum(map(len, slices))}
        _, opened = await self.until_answered("/api/upload/proxy/session", {}, lambda: {"json": facts})
        upload, body = opened["upload_uuid"], opened
        for index, data in enumerate(slices):
            headers = {"Upload-UUID": upload, "Checksum": sha256(data).hexdigest()}
            url = f"/api/upload/proxy/chunk?id={index}"
            status, body = await self.until_answered(url, headers, partial(body_of, data))
            if status != 200:
                self.refused.append((status, body))
                return
        assert body["status"] == "completed"
        self.acknowledged[upload] = sha256(b"".join(slices)).hexdigest()

    async def until_answered(self, path: str, headers: dict[str, str], body: Body) -> tuple[int, Any]:
        sent = headers | {"Authorization": f"Bearer {self.identity.token}"}
        async with asyncio.timeout(60):
            while True:
                try:
                    async with self.http.post(self.gateway + path, headers=sent, **body()) as answer:
                        if answer.status not in PASSING:
                            return answer.status, await answer.json()
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)  # as a client that is told to try again

    async def differing(self) -> list[tuple[str, int]]:
        """Acknowledged files that are not what was sent."""
        found = []
        headers = {"Authorization": f"Bearer {self.identity.token}"}
        for upload, expected in self.acknowledged.items():
            url = f"{self.gateway}/api/files/f/{upload}/download?delivery=proxied"
            async with self.http.get(url, headers=headers) as answer:
                if answer.status != 200 or sha256(await answer.read()).hexdigest() != expected:
                    found.append((upload, answer.status))
        return found


async def freeze(scaled: System, database: asyncpg.Pool[Any], replica: int) -> None:
    """Stop a process in a repack that it began, until others have taken all its jobs."""
    part, instance = scaling.part_name("upload", replica), f"upload-{replica}"

    async def repacks() -> bool:
        return bool(await database.fetchval(REPACKS, instance))

    async def holds_nothing() -> bool:
        return not await database.fetchval(HOLDS, instance)

    await until(repacks)
    await asyncio.to_thread(scaled.stack.control, "pause", part)
    try:
        await until(holds_nothing)
    finally:
        await asyncio.to_thread(scaled.stack.control, "resume", part)


async def test_what_was_acknowledged_is_read_back(scaled: System) -> None:
    over, taken = asyncio.Event(), 0
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=70)) as http,
        asyncpg.create_pool(scaled.database_url("upload"), min_size=1, max_size=2) as database,
    ):
        uploaders = [
            Uploader(http, scaled.gateway, await sign_up(http, scaled.gateway, secrets.token_hex(4)))
            for _ in range(CLIENTS)
        ]
        load = [asyncio.create_task(one.keep_uploading(over)) for one in uploaders]
        try:
            for number in range(FREEZES):
                await freeze(scaled, database, number % 2 + 1)
                taken = await database.fetchval(TAKEN)
                if taken >= TAKEOVERS:
                    break
        finally:
            over.set()
            await asyncio.gather(*load)
        differing = [one for uploader in uploaders for one in await uploader.differing()]
        assert differing == []
        assert [one for uploader in uploaders for one in uploader.refused] == []
        assert sum(len(uploader.acknowledged) for uploader in uploaders) >= TAKEOVERS
        assert taken >= TAKEOVERS
