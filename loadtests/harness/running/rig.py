"""What every trial of a run shares: the system, the identities, the programs, the folders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from minio import Minio

from loadtests.harness.auditing.audit import Auditor
from loadtests.harness.auditing.audit_store import AuditStore
from loadtests.harness.planning.experiment import Arm
from loadtests.harness.planning.payload import BLOCK_BYTES, Payload
from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Event, Trial
from loadtests.harness.running import affinity, alerts, exporter, users
from loadtests.harness.running.affinity import Cores, split
from loadtests.harness.running.clean import Cleaner
from loadtests.harness.running.exporter import Activity
from loadtests.harness.running.users import Identity
from loadtests.harness.testbeds import connections
from loadtests.harness.testbeds.processes import Watched, start_ticks
from loadtests.harness.testbeds.system import System, find_k6, open_testbed, settings_of
from loadtests.harness.testbeds.testbed import SystemNotUp, Testbed

TOKEN_AGE_LIMIT_S = 1800.0  # tokens live for an hour; none may end inside a trial
PATTERN_SEED = 20_240_731
LIKELY_MAX_BYTES_PER_S = 700e6
TABLE_HEADROOM = 2.5  # between the best rate seen of a file size and another strategy's


@dataclass(slots=True)
class Rig:
    """One run's hold on a running system. Made by ``open_rig``."""

    run: str
    system: System
    testbed: Testbed
    http: aiohttp.ClientSession
    k6_program: Path
    strategies: Mapping[str, Strategy]
    cleaner: Cleaner
    auditor: Auditor
    presigner: Minio
    work_dir: Path
    activity: Activity
    arms: Mapping[str, Arm] = field(default_factory=dict)
    identities: list[Identity] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    cores: Cores = field(default_factory=lambda: split(os.sched_getaffinity(0)))
    push: bool = True  # k6 shows its own figures in Prometheus; that costs CPU
    piece_bytes: int | None = None  # overrides the strategies' own chunk and part size
    events: list[Event] = field(default_factory=list)
    _tokens_at: float = 0.0
    _payloads: dict[tuple[int, int], Payload] = field(default_factory=dict)
    _best_bytes_per_s: dict[int, float] = field(default_factory=dict)  # by file size

    def event(self, kind: str, trial: str | None = None, **detail: Any) -> None:
        self.events.append(Event(at=time.time(), kind=kind, trial=trial, detail=detail))

    def take_events(self) -> list[Event]:
        for seen in self.testbed.take_seen():
            self.events.append(Event(at=seen.at, kind=seen.kind, detail={"part": seen.part, **seen.detail}))
        taken, self.events = sorted(self.events, key=lambda event: event.at), []
        return taken

    @property
    def identities_file(self) -> Path:
        return self.work_dir / "identities.json"

    async def create_identities(self, count: int) -> None:
        """Sign up the run's users; outside every trial."""
        self.identities = await users.create_users(self.http, self.system.gateway_url, self.run, count)
        self._tokens_prepared()

    async def fresh_tokens(self) -> None:
        """Log everybody in again if the tokens could end during the next trial."""
        if time.time() - self._tokens_at > TOKEN_AGE_LIMIT_S:
            self.identities = await users.refresh(self.http, self.system.gateway_url, self.identities)
            self._tokens_prepared()

    def _tokens_prepared(self) -> None:
        self._tokens_at = time.time()
        users.write_identities(self.identities_file, self.identities)

    def payload(self, size_bytes: int, piece_bytes: int) -> Payload:
        """Bodies and hashes of one file size; the pattern is made once."""
        key = (size_bytes, piece_bytes)
        if key not in self._payloads:
            self._payloads[key] = Payload(
                self.run, PATTERN_SEED, size_bytes, chunk_bytes=piece_bytes, etags=size_bytes <= BLOCK_BYTES
            )
        return self._payloads[key]

    def learn(self, trial: Trial) -> None:
        """Remember what the system can take of long files: hashing more of them than needed takes minutes."""
        size = trial.plan.file_size_bytes
        if size > BLOCK_BYTES and trial.goodput_bytes_per_s > 0:
            best = self._best_bytes_per_s.get(size, 0.0)
            self._best_bytes_per_s[size] = max(best, trial.goodput_bytes_per_s)

    def bytes_per_s(self, size_bytes: int) -> float:
        """More than a trial can store: its table of uploads must not run out."""
        best = self._best_bytes_per_s.get(size_bytes)
        return LIKELY_MAX_BYTES_PER_S if best is None else min(LIKELY_MAX_BYTES_PER_S, TABLE_HEADROOM * best)

    async def watched(self) -> list[Watched]:
        """All parts of the system and this process."""
        own = Watched("harness", os.getpid(), start_ticks(os.getpid()) or 0)
        return [*await self.testbed.watched(), own]

    async def pin(self) -> None:
        """Keep the system off the generator's processors; a part that was restarted is moved again."""
        if self.cores.apart and self.testbed.runtime == "native":
            for name in affinity.pin(await self.testbed.watched(), self.cores.system):
                self.event("not-pinned", process=name)

    async def unpin(self) -> None:
        """Leave the system as it was found, on all processors."""
        if self.cores.apart and self.testbed.runtime == "native":
            affinity.pin(await self.testbed.watched(), self.cores.all)

    async def pushes_to_prometheus(self) -> bool:
        """Whether k6 tells Prometheus what it sees: somebody may watch the load there."""
        return self.push and self.system.environ.get("K6_PUSH") != "off" and await self.has_prometheus()

    async def has_prometheus(self) -> bool:
        """Whether there is one to ask."""
        found = (await self.testbed.parts()).get("prometheus")
        return found is not None and found.state == "healthy"

    async def alerts(self, since: float) -> list[Event]:
        """Alerts that fired from then on, and whether anybody watched."""
        return await alerts.fired(self.http, self.system.prometheus_url, since, time.time())

    async def settings(self) -> dict[str, dict[str, Any]]:
        """Settings in effect by process, as each says itself; one that does not answer is absent."""
        found = await asyncio.gather(
            *(settings_of(self.http, url) for url in self.system.admin_urls.values()), return_exceptions=True
        )
        pairs = zip(self.system.admin_urls, found, strict=True)
        return {name: answer["settings"] for name, answer in pairs if isinstance(answer, dict)}


@asynccontextmanager
async def open_rig(
    run: str, system: System, strategies: Mapping[str, Strategy], *, read_all: bool = False
) -> AsyncIterator[Rig]:
    """Connections, a private work folder and everything else, closed and deleted at the end."""
    async with AsyncExitStack() as stack:
        testbed = await stack.enter_async_context(open_testbed(system))
        databases = await stack.enter_async_context(connections.open_databases(system.endpoints))
        store = AuditStore(connections.open_store(system.endpoints), system.endpoints.s3_bucket)
        stack.callback(store.close)
        connector = aiohttp.TCPConnector(limit=64, resolver=system.resolver())
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        work_dir = Path(tempfile.mkdtemp(prefix="vaultbench-"))
        stack.callback(shutil.rmtree, work_dir, ignore_errors=True)
        activity = Activity(run)
        await stack.enter_async_context(shown(activity, system))
        rig = Rig(
            run=run,
            activity=activity,
            system=system,
            testbed=testbed,
            http=http,
            k6_program=find_k6(system.environ, system.root),
            strategies=strategies,
            cleaner=Cleaner(databases, store, everything=system.environ.get("CLEAN") == "1"),
            auditor=Auditor(databases, store, read_all=read_all),
            presigner=presigner(system),
            work_dir=work_dir,
        )
        try:
            yield rig
        finally:
            with contextlib.suppress(SystemNotUp):
                await rig.unpin()


@asynccontextmanager
async def shown(activity: Activity, system: System) -> AsyncIterator[None]:
    """Tell Prometheus what goes on; a taken port costs the annotations, not the run."""
    # In a container Prometheus asks from another one.
    host, port = None if system.project else "127.0.0.1", int(system.environ["HARNESS_METRICS_PORT"])
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(exporter.serving(activity, host, port))
        except OSError as error:
            reason = f"port {port} cannot be used ({error.strerror})"
            print(f"No trials in the dashboards: {reason}", file=sys.stderr)
        yield


def presigner(system: System) -> Minio:
    """Signs URLs for the address that clients use; asks the store nothing."""
    return Minio(
        system.public_store,
        access_key=system.endpoints.s3_access_key,
        secret_key=system.endpoints.s3_secret_key,
        secure=False,
        region=system.environ.get("S3_REGION", "us-east-1"),
    )
