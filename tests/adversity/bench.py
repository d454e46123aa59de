"""What the adversity tests need of the running system: users, kills, pauses, and the ledger as judge."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import asyncpg

from loadtests.harness.clean import Cleaner
from loadtests.harness.clients.payload import Payload, UploadRow
from loadtests.harness.clients.users import sign_up
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.audit import Audit, Auditor, Piece
from loadtests.harness.ledger.evidence import Baseline
from loadtests.harness.ledger.store import FILES_PREFIX, AuditStore
from loadtests.harness.testbeds.connections import Databases, open_databases, open_store, read_endpoints
from tests.adversity.client import PIECE_BYTES, STRETCH, Client
from tests.stack import System

WAIT_S = 60.0
SETTLE_S = 60.0
POLL_S = 0.02
MIB = 1024 * 1024


@dataclass(slots=True)
class Bench:
    """The system under attack, cleaned of the harness's files, and one judge."""

    system: System
    http: aiohttp.ClientSession
    databases: Databases
    store: AuditStore
    baseline: Baseline
    rows: list[UploadRow] = field(default_factory=list)

    async def client(self, size_bytes: int, *, resends: bool = True) -> Client:
        """A new user who uploads files of one size."""
        run = secrets.token_hex(4)
        identity = await sign_up(self.http, self.system.gateway, run)
        payload = Payload(run, seed=7, size_bytes=size_bytes, chunk_bytes=PIECE_BYTES)
        return Client(self.http, self.system.gateway, identity, payload, resends)

    def row(self, client: Client) -> UploadRow:
        """The next upload of a client."""
        row = client.payload.row(f"{client.payload.run}.{STRETCH}.{len(self.rows):06d}")
        self.rows.append(row)
        return row

    async def kill(self) -> int:
        """Kill -9 the upload service; returns its process id for ``recovered``."""
        pid = await self._pid()
        await self.control("kill", "upload")
        return pid

    async def replaced(self, killed: int) -> None:
        """Wait until another process has taken the place of the killed one, and is ready."""

        async def ready() -> bool:
            if await self._pid() in (0, killed):
                return False
            async with self.http.get(f"{self.system.gateway}/api/upload/ready") as answer:
                return answer.status == 200

        await until(ready)

    async def recovered(self, killed: int) -> None:
        """Wait for that, and until it has given the gateway's breaker the good answers that it wants."""
        await self.replaced(killed)
        gateway = self.system.gateway
        identity = await sign_up(self.http, gateway, secrets.token_hex(4))
        headers = {"Authorization": f"Bearer {identity.token}"}

        async def trusted() -> bool:
            async with self.http.get(f"{gateway}/api/upload/sessions", headers=headers):
                pass
            async with self.http.get(f"{gateway}/health/detailed") as answer:
                return set((await answer.json())["breakers"]["upload"]) == {"closed"}

        await until(trusted)

    @asynccontextmanager
    async def upload_runs_with(self, **settings: str) -> AsyncIterator[None]:
        """The upload service with other settings, as long as the block runs."""
        control = self.system.stack.control
        await asyncio.to_thread(control, "restart", "upload", env=settings)
        try:
            yield
        finally:
            await asyncio.to_thread(control, "restart", "upload")

    @asynccontextmanager
    async def paused(self, part: str) -> AsyncIterator[None]:
        """A part that neither answers nor refuses, as long as the block runs."""
        await self.control("pause", part)
        try:
            yield
        finally:
            await self.control("resume", part)

    async def control(self, operation: str, part: str) -> None:
        await asyncio.to_thread(self.system.stack.control, operation, part)

    async def _pid(self) -> int:
        """The process id of the upload service, 0 while it is not healthy."""
        row = (await asyncio.to_thread(self.system.stack.rows))["upload"]
        return int(row["pid"] or 0) if row["state"] == "healthy" else 0

    @asynccontextmanager
    async def locked(self, rows: Sequence[UploadRow]) -> AsyncIterator[None]:
        """Hold the rows of uploads' sessions: whatever wants to change them waits."""
        holder = await asyncpg.connect(self.system.database_url("upload"))
        try:
            async with holder.transaction():
                refs = [row.ref for row in rows]
                await holder.execute(
                    "SELECT 1 FROM upload_sessions WHERE idempotency_key = ANY($1) FOR UPDATE", refs
                )
                yield
        finally:
            await holder.close()

    async def end_waiting_statements(self) -> int:
        """End the database's side of statements that wait for a lock, as if they had never come."""
        ended = await self.databases.upload.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return len(ended)

    async def waiting_statements(self) -> int:
        waiting: int = await self.databases.upload.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return waiting

    async def running_jobs(self, rows: Sequence[UploadRow]) -> set[str]:
        """Object keys of those uploads whose job is running."""
        found = await self.databases.upload.fetch(
            "SELECT storage_key FROM upload_sessions "
            "WHERE idempotency_key = ANY($1) AND lease_owner IS NOT NULL",
            [row.ref for row in rows],
        )
        return {row["storage_key"] for row in found}

    async def stored_keys(self) -> set[str]:
        return {stored.key for stored in await self.store.objects(FILES_PREFIX)}

    async def audit(self, *clients: Client) -> Audit:
        """Judge all uploads of the clients together."""
        lines = Lines(
            intents=[intent for client in clients for intent in client.intents],
            outcomes=[outcome for client in clients for outcome in client.outcomes],
        )
        auditor = Auditor(self.databases, self.store, read_all=True, settle_limit_s=SETTLE_S)
        piece = Piece(audit=0, stack="", stretches=(STRETCH,), seed=1)
        return await auditor.audit(piece, lines, baseline=self.baseline, rows=self.rows)


@asynccontextmanager
async def open_bench(system: System) -> AsyncIterator[Bench]:
    endpoints = read_endpoints(system.stack.env)
    async with AsyncExitStack() as stack:
        databases = await stack.enter_async_context(open_databases(endpoints))
        store = AuditStore(open_store(endpoints), endpoints.s3_bucket)
        stack.callback(store.close)
        cleaner = Cleaner(databases, store)
        cleaned = await cleaner.clean()
        timeout = aiohttp.ClientTimeout(total=70)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        try:
            yield Bench(system, http, databases, store, cleaned.baseline)
        finally:
            await cleaner.clean()


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = WAIT_S) -> None:
    """Wait for a condition; a test that waits in vain fails here."""
    end = time.monotonic() + limit_s
    while not await condition():
        assert time.monotonic() < end, f"{condition.__qualname__} did not come true within {limit_s} s"
        await asyncio.sleep(POLL_S)
