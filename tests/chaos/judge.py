"""What must hold after a case: nothing acknowledged is lost, nothing doubled, nothing left after a sweep."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import aiohttp

from loadtests.harness.clean import Cleaner
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.audit import Audit, Auditor, Piece
from loadtests.harness.ledger.evidence import Baseline
from loadtests.harness.ledger.store import AuditStore
from loadtests.harness.testbeds.connections import Databases, open_databases, open_store, read_endpoints
from tests.agreement import disagreements, swept
from tests.chaos.client import STRETCH, Sender
from tests.stack import System

SETTLE_S = 90.0
ABANDONED_QUIET_S = 0.5  # all clients are gone, and all processes are back
NEVER = ("G-02", "G-03", "G-05", "G-07", "pending")
# Of uploads whose clients walked away or died; only a sweep may take these away.
SWEPT_CLASSES, SWEPT_FLAGS = ("G-06",), ("G-04", "G-09")


@dataclass(slots=True)
class Judge:
    """Looks at one system through its front door and behind it."""

    system: System
    http: aiohttp.ClientSession
    databases: Databases
    store: AuditStore

    async def judge(self, senders: Sequence[Sender], identity: Identity) -> tuple[list[str], list[str]]:
        """Everything that is wrong, each as one sentence; and what only a sweep may take away."""
        wrong = [f"{sender.ref}: {sender.trouble}" for sender in senders if sender.trouble]
        audit = await self.audit(senders)
        wrong += _of_the_ledger(audit)
        acknowledged = [sender for sender in senders if sender.acknowledged is not None]
        wrong += await self._listed_once(acknowledged, identity)
        for problems in await asyncio.gather(*(self._read_back(sender) for sender in acknowledged)):
            wrong += problems
        left = left_behind(audit)
        try:
            await swept(self.system)
        except (AssertionError, TimeoutError) as failure:
            wrong.append(f"the sweep failed: {failure!r}")
        again = await self.audit(senders)
        wrong += [f"after a sweep: {one}" for one in (*left_behind(again), *_of_the_ledger(again))]
        wrong += [f"after a sweep: {one}" for one in await disagreements(self.system)]
        return wrong, left

    async def audit(self, senders: Sequence[Sender]) -> Audit:
        lines = Lines(
            intents=[intent for sender in senders for intent in sender.intents],
            outcomes=[outcome for sender in senders for outcome in sender.outcomes],
        )
        auditor = Auditor(
            self.databases,
            self.store,
            read_all=True,
            settle_limit_s=SETTLE_S,
            abandoned_quiet_s=ABANDONED_QUIET_S,
        )
        # Clients of a case may walk away: what they dropped is not held against anybody.
        piece = Piece(audit=0, stack="", stretches=(STRETCH,), seed=1, clients_came_back=False)
        return await auditor.audit(piece, lines, baseline=Baseline())

    async def clean(self) -> None:
        """Take away all that the case made."""
        await Cleaner(self.databases, self.store).clean()

    async def _listed_once(self, senders: Sequence[Sender], identity: Identity) -> list[str]:
        listed = Counter[str]()
        sizes: dict[str, int] = {}
        cursor: dict[str, str] = {}
        while True:
            page = await self._json("/api/files/me/owned", identity, {"size": "100", **cursor})
            listed.update(file["file_id"] for file in page["files"])
            sizes |= {file["file_id"]: file["size_bytes"] for file in page["files"]}
            if not page["next_cursor"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        wrong = []
        for sender in senders:
            file_id = sender.acknowledged.file_id if sender.acknowledged else None
            if listed[str(file_id)] != 1:
                wrong.append(
                    f"{sender.ref}: acknowledged as {file_id} and listed {listed[str(file_id)]} times"
                )
            elif sizes[str(file_id)] != sender.plan.size_bytes:
                wrong.append(f"{sender.ref}: listed with {sizes[str(file_id)]} bytes")
        known = [sender.acknowledged.file_id for sender in senders if sender.acknowledged]
        wrong += [f"two uploads became one file {one}" for one, count in Counter(known).items() if count > 1]
        return wrong

    async def _read_back(self, sender: Sender) -> list[str]:
        file_id = sender.acknowledged.file_id if sender.acknowledged else None
        url = f"{self.system.gateway}/api/files/f/{file_id}/download?delivery=proxied"
        headers = {"Authorization": f"Bearer {sender.identity.token}"}
        async with self.http.get(url, headers=headers) as answer:
            content = await answer.read()
        if answer.status != 200:
            return [
                f"{sender.ref}: acknowledged as {file_id}, download answers {answer.status} {content[:200]!r}"
            ]
        if content != sender.content:
            got = f"{len(content)} bytes, {sha256(content).hexdigest()[:12]}"
            want = f"{len(sender.content)} bytes, {sha256(sender.content).hexdigest()[:12]}"
            return [f"{sender.ref}: other bytes come back: {got} for {want}"]
        return []

    async def _json(self, path: str, identity: Identity, query: dict[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {identity.token}"}
        async with self.http.get(self.system.gateway + path, params=query, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, f"{path}: {answer.status} {text[:200]}"
            return await answer.json()


def _of_the_ledger(audit: Audit) -> list[str]:
    table = audit.table
    wrong = [f"ledger: {table.classes[name]} x {name}" for name in NEVER if table.classes[name]]
    wrong += [f"ledger: {table.flags[flag]} x {flag}" for flag in ("G-10", "G-11") if table.flags[flag]]
    return [*wrong, *(f"    {row}" for row in table.offending)] if wrong else []


def left_behind(audit: Audit) -> list[str]:
    """What only a sweep may leave away: stuck sessions, orphan objects, leftovers."""
    table = audit.table
    found = [f"{table.classes[name]} x {name}" for name in SWEPT_CLASSES if table.classes[name]]
    return found + [f"{table.flags[flag]} x {flag}" for flag in SWEPT_FLAGS if table.flags[flag]]


@asynccontextmanager
async def open_judge(system: System) -> AsyncIterator[Judge]:
    endpoints = read_endpoints(system.stack.env)
    async with AsyncExitStack() as stack:
        databases = await stack.enter_async_context(open_databases(endpoints))
        store = AuditStore(open_store(endpoints), endpoints.s3_bucket)
        stack.callback(store.close)
        timeout = aiohttp.ClientTimeout(total=60)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        yield Judge(system, http, databases, store)
