"""The parts of the upload service on a real database and store, without its HTTP."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import pytest

from services.kit.cache import NoCache
from services.kit.clock import World
from services.kit.db import Database, open_database
from services.kit.errors import unavailable
from services.kit.log import Log
from services.kit.migrate import migrate
from services.kit.s3 import Capabilities, S3Address, S3Client, open_client
from services.kit.s3.bucket import create_bucket
from services.upload.app import MIGRATIONS
from services.upload.assembly import (
    Base,
    Outside,
    Tables,
    build_cleaner,
    build_finaliser,
    build_services,
)
from services.upload.chunk_store.spool import Spool
from services.upload.cleaning import Cleaner
from services.upload.finalise.outcome import GaveUpError, RefusedError
from services.upload.finalise.worker import Finaliser
from services.upload.handlers import Services
from services.upload.metrics import Metrics
from services.upload.model import Living, Looks, Made, Send, Session
from services.upload.service.chunks import ChunkTaken
from services.upload.service.opening import Wanted
from services.upload.settings import Settings
from tests.environment import load
from tests.integration.upload.interruption import (
    Died,
    InterruptedDatabase,
    InterruptedRegistry,
    InterruptedStore,
    Interruption,
)
from tests.stack import Backends

BUCKET = "upload-tests"
MIB = 1024 * 1024


@dataclass(slots=True)
class Registry:
    """Stands where the files service stands; ``refusals`` are spent before it accepts."""

    refusals: int = 0
    rows: dict[UUID, tuple[Session, Made]] = field(default_factory=dict)
    calls: int = 0
    gate: asyncio.Event | None = None
    away: bool = False  # no tombstone can be left
    voided: set[UUID] = field(default_factory=set)
    copying: set[UUID] = field(default_factory=set)
    died: str | None = None  # "before" or "after": the process dies around the next registration

    async def void(self, upload_uuid: UUID) -> Living | None:
        if self.away:
            raise unavailable("files service")
        if upload_uuid in self.rows:
            session, made = self.rows[upload_uuid]
            return Living(session.mime_type, session.file_size_bytes or 0, made.checksum, made.etag)
        if upload_uuid in self.copying:
            return Living("text/plain", 0, None, None, copying=True)
        self.voided.add(upload_uuid)
        return None

    async def register(self, session: Session, made: Made) -> Looks:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.died == "before":
            raise Died
        before = self.rows.get(session.upload_uuid)
        if session.upload_uuid in self.voided or (before is not None and before[1] != made):
            raise GaveUpError("registration_conflict", "registered with other facts")
        if self.refusals:
            self.refusals -= 1
            raise RefusedError("refused by the test")
        self.rows[session.upload_uuid] = (session, made)
        if self.died == "after":
            raise Died
        return {"file_id": session.upload_uuid, "checksum": made.checksum}


@dataclass(slots=True)
class Bench:
    """One process's worth of the upload service."""

    base: Base
    database: Database
    registry: Registry
    finaliser: Finaliser
    cleaner: Cleaner
    services: Services
    user_id: UUID
    interruption: Interruption

    @property
    def store(self) -> S3Client:
        return self.base.store

    @property
    def tables(self) -> Tables:
        return self.base.tables

    async def open(self, size_bytes: int, name: str = "file.bin", mode: str | None = None) -> UUID:
        wanted = Wanted(self.user_id, name, size_bytes, None)
        return (await self.services.proxied.open(wanted, mode)).upload_uuid

    async def send(
        self, upload: UUID, index: int, data: bytes, *, checksum: bool = True, length: int | None = None
    ) -> ChunkTaken:
        size = len(data) if length is None else length
        promised = sha256(data).hexdigest() if checksum else None
        return await self.services.chunks.receive(
            Send(upload, self.user_id, index, size, promised), body(data)
        )

    async def content(self, upload: UUID) -> bytes:
        """The bytes of the final object."""
        async with self.store.get(f"users/{self.user_id}/{upload}") as download:
            return b"".join([piece async for piece in download.pieces()])

    async def status(self, upload: UUID) -> str:
        progress = await self.services.management.status(upload, self.user_id)
        return progress.session.status

    async def leftovers(self, upload: UUID) -> list[str]:
        """Keys of temporary objects."""
        return [entry.key for entry in await self.store.list_objects(f"chunks/{upload}/")]


async def body(data: bytes, piece_bytes: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece_bytes):
        yield data[start : start + piece_bytes]


def incompressible(size_bytes: int) -> bytes:
    return secrets.token_bytes(size_bytes)


def settings_for(backends: Backends, database_url: str, folder: Path) -> Settings:
    environment = {
        "PORT": "1",
        "DATABASE_URL": database_url,
        "INTERNAL_KEY_GATEWAY_UPLOAD": "g" * 32,
        "INTERNAL_KEY_UPLOAD_FILES": "f" * 32,
        "INTERNAL_KEY_OPERATOR_UPLOAD": "o" * 32,
        "FILES_URLS": "http://127.0.0.1:1",
        "SPOOL_DIR": str(folder / "spool"),
        "BENCH_ENDPOINTS": "1",
        "FINALISE_BACKOFF_S": "0.01",
        "LOGGING": "off",
        "LOG_LEVEL": "error",
        **backends.store_settings(),
        "S3_BUCKET": BUCKET,
    }
    return load(Settings, environment)


@pytest.fixture(scope="session")
async def settings(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Shared by the tests of this folder: every bench has a user of its own."""
    async with backends.database() as url:
        yield settings_for(backends, url, tmp_path_factory.mktemp("upload"))


@pytest.fixture
def own_settings(backends: Backends, database_url: str, tmp_path: Path) -> Settings:
    """A database of the test's own, for what looks at every job."""
    return settings_for(backends, database_url, tmp_path)


@asynccontextmanager
async def bench_of(
    settings: Settings,
    instance: str = "one",
    *,
    capabilities: Capabilities | None = None,
    registry: Registry | None = None,
    interruption: Interruption | None = None,
    user_id: UUID | None = None,
) -> AsyncIterator[Bench]:
    """A bench; two of them on the same settings are two processes that share database and store."""
    metrics, world = Metrics(), World()
    log = Log("upload", instance, settings.log_level, settings.logging, fd=os.open(os.devnull, os.O_WRONLY))
    address = S3Address.of(settings)
    await migrate(settings.database_url.get_secret_value(), MIGRATIONS, "test")
    await create_bucket(address)
    interruption = interruption or Interruption()
    async with (
        open_database(settings.database_url.get_secret_value(), "test", metrics.database) as database,
        open_client(address, world, metrics.store.observe) as store,
    ):
        interrupted = cast(Database, InterruptedDatabase(database, interruption))
        base = Base(
            settings=settings,
            world=world,
            metrics=metrics,
            log=log,
            store=cast(S3Client, InterruptedStore(store, interruption)),
            capabilities=capabilities or Capabilities(True, True, True, True),
            spool=Spool(Path(settings.spool_dir), lambda _: (1 << 40, 0, 1 << 40)),
            tables=Tables.of(interrupted, f"{instance}/{uuid4()}", settings),
        )
        registry = registry or Registry()
        cleaner = build_cleaner(base, registry)
        finaliser = build_finaliser(base, cleaner, InterruptedRegistry(registry, interruption))
        services = build_services(base, finaliser, cleaner, Outside(registry, NoCache()))
        try:
            yield Bench(
                base, database, registry, finaliser, cleaner, services, user_id or uuid4(), interruption
            )
        finally:
            interruption.go_on.set()
            await finaliser.drain(5)
            await cleaner.drain(5)


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with bench_of(settings) as one:
        yield one
