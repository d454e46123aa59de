"""Composition of the upload service: every part is made and joined here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from services.kit.cache import Cache, open_cache
from services.kit.clock import World
from services.kit.db import Database, open_database
from services.kit.health import Check, Health
from services.kit.log import Log
from services.kit.migrate import migrate
from services.kit.run import Process, Served
from services.kit.s3 import Capabilities, S3Address, S3Client, open_client
from services.kit.tokens import CredentialChecker, CredentialSigner
from services.kit.upstream import Upstream, balanced
from services.kit.web import app as kit
from services.kit.web.body import Pace
from services.kit.web.boundary import Boundary
from services.upload.background import Background, Gauges
from services.upload.chunk_store.disk import DiskChunkStore
from services.upload.chunk_store.s3 import S3ChunkStore
from services.upload.chunk_store.sink import ChunkStore
from services.upload.chunk_store.spool import Spool
from services.upload.cleaning import Cleaner
from services.upload.finalise.direct import MultipartMaker, SingleMaker
from services.upload.finalise.instance import InstanceLock
from services.upload.finalise.journal import Backoff, DetachedJournal, LeasedJournal
from services.upload.finalise.modes import Early, FinaliseMode, Inline
from services.upload.finalise.plan import BUFFER_BYTES
from services.upload.finalise.pool import Buffers
from services.upload.finalise.proxied import EmptyMaker, Maker, ProxiedMaker
from services.upload.finalise.repack import Repack
from services.upload.finalise.runner import Register, Runner
from services.upload.finalise.worker import Finaliser, Limits
from services.upload.handlers import HANDLERS, SERVICES, Services
from services.upload.metrics import Metrics
from services.upload.model import Method
from services.upload.placement import Placement
from services.upload.registration import Registrar
from services.upload.repository.chunks import Chunks
from services.upload.repository.jobs import Jobs
from services.upload.repository.parts import Parts
from services.upload.repository.sessions import Progress, Sessions
from services.upload.routes import ROUTES
from services.upload.senders import Senders
from services.upload.service.chunks import ChunkService
from services.upload.service.completing import Completing
from services.upload.service.management import ManagementService
from services.upload.service.multipart import MultipartService
from services.upload.service.opening import Opening
from services.upload.service.presigned import Presigner
from services.upload.service.proxied import ProxiedService
from services.upload.service.single import SingleService
from services.upload.settings import Settings
from services.upload.store import StoreFacts, health_check, prepare

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Upload service Working"
REPACKS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Tables:
    """The repositories of one process, which is one lease owner."""

    sessions: Sessions
    chunks: Chunks
    parts: Parts
    jobs: Jobs

    @classmethod
    def of(cls, database: Database, owner: str, settings: Settings) -> Tables:
        lease, ttl = timedelta(seconds=settings.lease_s), timedelta(seconds=settings.upload_ttl_s)
        return cls(
            Sessions(database, owner, lease),
            Chunks(database, owner, lease, ttl),
            Parts(database, owner, lease, ttl),
            Jobs(database, owner, lease),
        )


@dataclass(frozen=True, slots=True)
class Base:
    """What most parts need."""

    settings: Settings
    world: World
    metrics: Metrics
    log: Log
    store: S3Client
    capabilities: Capabilities
    spool: Spool
    tables: Tables


def served(process: Process[Settings, Metrics]) -> Served:
    """What serves the process."""
    boundary = process.boundary()
    return process.serving(application(process, boundary), boundary)


def application(process: Process[Settings, Metrics], boundary: Boundary) -> web.Application:
    settings, world = process.settings, process.world
    health = Health("upload", GREETING, {}, world.monotonic, draining=lambda: boundary.draining)
    keys = {"gateway": settings.internal_key_gateway_upload.get_secret_value()}
    app = kit.application(
        ROUTES,
        HANDLERS,
        boundary=boundary,
        credentials=CredentialChecker("upload", keys, world.now),
        health=health,
        pace=Pace.of(settings),
    )

    async def parts(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start(app, process, boundary, health, stack)
            yield

    app.cleanup_ctx.append(parts)
    return app


async def _start(
    app: web.Application,
    process: Process[Settings, Metrics],
    boundary: Boundary,
    health: Health,
    stack: AsyncExitStack,
) -> None:
    """Open, check and join every part; ``stack`` closes them."""
    settings, metrics, world, log = process.settings, process.metrics, process.world, process.log
    instance = settings.instance or "upload"
    direct_url = settings.direct_url
    await migrate(direct_url, MIGRATIONS, "upload")
    database = await stack.enter_async_context(_database(settings, metrics))
    address = _address(settings)
    store = await stack.enter_async_context(open_client(address, world, metrics.store.observe))
    owner = f"{instance}/{world.new_uuid()}"
    facts = await prepare(address, store, settings.cors_origins, owner.replace("/", "-"), log.event)
    tables = Tables.of(database, owner, settings)
    base = Base(settings, world, metrics, log, store, facts.capabilities, _spool(settings), tables)

    cleaner = Cleaner(store, chunk_stores(base), tables.sessions, log.event)
    finaliser = build_finaliser(base, cleaner, await _registrar(base, stack))
    health.checks = _checks(base, database, finaliser, facts)
    health.details = facts.shown
    ended = open_cache(
        settings, Progress, world, count=metrics.cache, log=log.event, checks=health.detailed_checks
    )
    app[SERVICES] = build_services(base, finaliser, cleaner, await stack.enter_async_context(ended))
    background = Background(
        finaliser,
        cleaner,
        InstanceLock(direct_url, instance, log.event),
        renew_s=settings.lease_s / 4,
        left_s=lambda: min(boundary.left_s(), settings.shutdown_s),
        log=log.event,
    )
    gauges = Gauges(tables.jobs, metrics, base.spool.size_bytes)
    await stack.enter_async_context(background.running(gauges))


def _database(settings: Settings, metrics: Metrics) -> AbstractAsyncContextManager[Database]:
    return open_database(
        settings.statements_url,
        "upload",
        metrics.database,
        prepared=settings.keeps_prepared,
        size=settings.pool_size,
    )


def _address(settings: Settings) -> S3Address:
    return S3Address(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        bucket=settings.s3_bucket,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
    )


def _checks(base: Base, database: Database, finaliser: Finaliser, facts: StoreFacts) -> dict[str, Check]:
    return {
        "database": database.check,
        "store": health_check(base.store, facts),
        "finalise_queue": finaliser.check,
        "spool_disk": _SPOOL_CHECKS[base.settings.chunk_store](base.spool),
    }


def _spool(settings: Settings) -> Spool:
    return Spool(Path(settings.spool_dir).absolute())


async def _registrar(base: Base, stack: AsyncExitStack) -> Registrar:
    signer = CredentialSigner(
        "upload", "files", base.settings.internal_key_upload_files.get_secret_value(), base.world.now
    )
    files = [
        await stack.enter_async_context(Upstream("files", url, base.metrics.upstream))
        for url in base.settings.files_urls
    ]
    return Registrar(balanced(files), signer, base.world)


def chunk_stores(base: Base) -> dict[str, ChunkStore]:
    """Every value of ``CHUNK_STORE``."""
    placement = Placement(base.capabilities.direct_final)
    return {
        "s3": S3ChunkStore(base.store, base.tables.sessions, placement, base.world),
        "disk": DiskChunkStore(base.spool, base.world),
    }


def _disk_check(spool: Spool) -> Check:
    return spool.check


def _no_disk_check(_: Spool) -> Check:
    async def unused() -> str:
        return "not used: chunks go to the store"

    return unused


_SPOOL_CHECKS: Mapping[str, Callable[[Spool], Check]] = {"s3": _no_disk_check, "disk": _disk_check}


def _backoff(base: Base) -> Backoff:
    return Backoff(base.settings.finalise_attempts, base.settings.finalise_backoff_s, base.world.rng)


def build_finaliser(base: Base, cleaner: Cleaner, registrar: Register) -> Finaliser:
    settings, store, phases = base.settings, base.store, base.metrics.phase
    repack = Repack(
        store,
        base.spool,
        Buffers(REPACKS_AT_ONCE, BUFFER_BYTES),
        conditional=base.capabilities.replaces_matched,
    )
    makers: dict[Method, Maker] = {
        Method.PROXY: ProxiedMaker(store, repack, phases),
        Method.MULTIPART: MultipartMaker(store, phases),
        Method.SINGLE: SingleMaker(store, phases),
    }
    attempts = Runner(
        makers,
        EmptyMaker(store, phases),
        registrar=registrar,
        cleaner=cleaner,
        metrics=base.metrics,
        log=base.log.event,
    )
    return Finaliser(
        attempts,
        base.tables.jobs,
        LeasedJournal(base.tables.jobs.held, _backoff(base)),
        limits=Limits(settings.finalise_workers, settings.finalise_queue, settings.finalise_wait_s),
        metrics=base.metrics,
        log=base.log.event,
    )


def _modes(base: Base, finaliser: Finaliser) -> dict[str, FinaliseMode]:
    """Every value of ``FINALISE``."""
    leased = LeasedJournal(base.tables.jobs.held, _backoff(base))
    return {
        "inline": Inline(finaliser, leased),
        "queued": Early(finaliser, leased, base.metrics),
        "detached": Early(finaliser, DetachedJournal(base.tables.jobs.detached), base.metrics),
    }


def build_services(base: Base, finaliser: Finaliser, cleaner: Cleaner, ended: Cache[Progress]) -> Services:
    settings, tables, metrics = base.settings, base.tables, base.metrics
    modes = _modes(base, finaliser)
    ttl = timedelta(seconds=settings.upload_ttl_s)
    opening = Opening(
        tables.sessions, finaliser, base.world, metrics, limit=settings.max_open_uploads, ttl=ttl
    )
    presigner = Presigner(base.store, settings.presign_put_s)
    completing = Completing(tables.parts, finaliser)
    senders = Senders(settings.uploads_per_user)
    metrics.bodies.set_function(lambda: senders.bodies)
    return Services(
        proxied=ProxiedService(
            opening,
            mode=settings.finalise,
            switches=frozenset(modes if settings.bench_endpoints else ()),
            max_bytes=settings.proxy_max_bytes,
        ),
        chunks=ChunkService(
            tables.chunks,
            chunk_stores(base)[settings.chunk_store],
            tables.jobs,
            finaliser=finaliser,
            modes=modes,
            cleaner=cleaner,
            senders=senders,
            metrics=metrics,
        ),
        multipart=MultipartService(
            opening,
            tables.sessions,
            tables.parts,
            store=base.store,
            presigner=presigner,
            completing=completing,
            cleaner=cleaner,
            metrics=metrics,
            max_bytes=settings.multipart_max_bytes,
        ),
        single=SingleService(opening, tables.sessions, presigner, completing),
        management=ManagementService(tables.sessions, cleaner, metrics, ended),
    )
