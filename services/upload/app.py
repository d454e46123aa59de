"""Composition of the upload service: every part is made and joined here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
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
from services.kit.sweeping import Scope, Sweeper
from services.kit.tokens import CredentialChecker, CredentialSigner
from services.kit.upstream import CALLEE_SHARE, Rules, Upstream, balanced, guards
from services.kit.web import app as kit
from services.kit.web.body import Pace
from services.kit.web.boundary import Boundary
from services.kit.web.forms import let_headers_be_wrong
from services.kit.web.sweep import SWEEPER
from services.upload.background import Background, Gauges
from services.upload.body_modes.memory import Memory
from services.upload.body_modes.modes import body_modes
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
from services.upload.finalise.whole import WholeMaker
from services.upload.finalise.worker import Finaliser, Limits
from services.upload.handlers import HANDLERS, SERVICES, Services
from services.upload.leftovers import Leftovers, Tombstones
from services.upload.metrics import Metrics
from services.upload.model import Method
from services.upload.placement import Placement
from services.upload.registration import Registrar
from services.upload.repository.chunks import Chunks
from services.upload.repository.ended import Ended
from services.upload.repository.jobs import Jobs
from services.upload.repository.parts import Parts
from services.upload.repository.sessions import Progress, Sessions
from services.upload.repository.whole import WholeUploads
from services.upload.routes import ROUTES
from services.upload.senders import Senders
from services.upload.service.arrival import Intake
from services.upload.service.batch import BatchService
from services.upload.service.chunks import ChunkService
from services.upload.service.completing import Completing
from services.upload.service.management import ManagementService
from services.upload.service.multipart import MultipartService
from services.upload.service.onefile import OneFileService
from services.upload.service.opening import Opening
from services.upload.service.presigned import Presigner
from services.upload.service.proxied import ProxiedService
from services.upload.service.single import SingleService
from services.upload.service.whole import WholeFiles
from services.upload.settings import Settings
from services.upload.store import StoreFacts, health_check, prepare
from services.upload.summaries import FilesSummaries, Summaries
from services.upload.sweep import (
    EndedRows,
    EndedUploads,
    ExpiredUploads,
    StrayObjects,
    StraySpoolFiles,
    StrayUploads,
)

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Upload service Working"
REPACKS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Tables:
    """The repositories of one process, which is one lease owner."""

    sessions: Sessions
    chunks: Chunks
    parts: Parts
    whole: WholeUploads
    jobs: Jobs
    ended: Ended

    @classmethod
    def of(cls, database: Database, owner: str, settings: Settings) -> Tables:
        lease, ttl = timedelta(seconds=settings.lease_s), timedelta(seconds=settings.upload_ttl_s)
        return cls(
            Sessions(database, owner, lease),
            Chunks(database, owner, lease, ttl),
            Parts(database, owner, lease, ttl),
            WholeUploads(database, owner, lease, ttl),
            Jobs(database, owner, lease),
            Ended(database),
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


@dataclass(frozen=True, slots=True)
class Outside:
    """What services ask beside database and store."""

    summaries: Summaries
    ended: Cache[Progress]


def served(process: Process[Settings, Metrics]) -> Served:
    """What serves the process."""
    let_headers_be_wrong()
    boundary = process.boundary()
    return process.serving(application(process, boundary), boundary)


def application(process: Process[Settings, Metrics], boundary: Boundary) -> web.Application:
    settings, world = process.settings, process.world
    health = Health("upload", GREETING, {}, world.monotonic, draining=lambda: boundary.draining)
    keys = {
        "gateway": settings.internal_key_gateway_upload.get_secret_value(),
        "operator": settings.internal_key_operator_upload.get_secret_value(),
    }
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

    files = await _files(base, stack)
    registrar = _registrar(base, files)
    cleaner = build_cleaner(base, registrar)
    finaliser = build_finaliser(base, cleaner, registrar)
    health.checks.update(_checks(base, database, finaliser, facts))
    health.details = lambda: {
        **facts.shown(),
        "breakers": {"files": [one.guard.state.name.lower() for one in files]},
    }
    ended = open_cache(
        settings, Progress, world, count=metrics.cache, log=log.event, checks=health.detailed_checks
    )
    summaries = FilesSummaries(balanced(files), _signer(base), world)
    outside = Outside(summaries, await stack.enter_async_context(ended))
    services = app[SERVICES] = build_services(base, finaliser, cleaner, outside)
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
    await stack.enter_async_context(services.whole.renewing(settings.lease_s / 4, log.event))
    swept = await stack.enter_async_context(open_client(address, world, metrics.store.observe_sweep))
    sweeper = app[SWEEPER] = build_sweeper(replace(base, store=swept), registrar)
    timed = Scope(settings.sweep_dry_run, thorough=False)
    await stack.enter_async_context(sweeper.sweeping(settings.sweep_interval_s, timed, world.rng))


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


async def _files(base: Base, stack: AsyncExitStack) -> list[Upstream]:
    """The replicas of the files service."""
    settings = base.settings
    rules = Rules(CALLEE_SHARE, settings.breaker_open_s, settings.breaker_probe)
    guard = guards(settings.breaker, rules, base.world.monotonic)
    return [
        await stack.enter_async_context(Upstream("files", url, base.metrics.upstream, guard=guard()))
        for url in settings.files_urls
    ]


def _registrar(base: Base, files: Sequence[Upstream]) -> Registrar:
    return Registrar(balanced(files), _signer(base), base.world)


def _signer(base: Base) -> CredentialSigner:
    key = base.settings.internal_key_upload_files.get_secret_value()
    return CredentialSigner("upload", "files", key, base.world.now)


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


def _leftovers(base: Base, tombstones: Tombstones) -> Leftovers:
    log = base.log.event
    return Leftovers(base.store, base.spool, base.tables.ended, tombstones, metrics=base.metrics, log=log)


def build_cleaner(base: Base, tombstones: Tombstones) -> Cleaner:
    leftovers = _leftovers(base, tombstones)
    return Cleaner(base.store, chunk_stores(base), base.tables.ended, leftovers, base.log.event)


def build_sweeper(base: Base, tombstones: Tombstones) -> Sweeper:
    settings, ended, store = base.settings, base.tables.ended, base.store
    leftovers = _leftovers(base, tombstones)
    return Sweeper(
        (
            ExpiredUploads(ended, leftovers, base.metrics),
            EndedUploads(ended, leftovers),
            StrayUploads(ended, store, settings.multipart_sweep_age_s),
            StrayObjects(ended, store, settings.leftover_age_s),
            StraySpoolFiles(ended, base.spool, base.world, settings.leftover_age_s),
            EndedRows(ended, settings.ended_row_s),
        ),
        direct_url=settings.direct_url,
        service="upload",
        metrics=base.metrics.sweep,
        log=base.log.event,
    )


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
        Method.FILE: WholeMaker(store, phases),
        Method.BATCH: WholeMaker(store, phases),
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


def _whole_files(base: Base, finaliser: Finaliser) -> WholeFiles:
    settings, tables = base.settings, base.tables
    memory = Memory(settings.body_memory_bytes)
    modes = body_modes(
        base.store,
        tables.sessions,
        base.spool,
        memory,
        world=base.world,
        buffered_max_bytes=settings.buffered_max_bytes,
    )
    intake = Intake(tables.whole, finaliser, base.metrics, settings.finalise_wait_s)
    return WholeFiles(intake, tables.jobs, modes, world=base.world, max_open=settings.max_open_uploads)


def build_services(base: Base, finaliser: Finaliser, cleaner: Cleaner, outside: Outside) -> Services:
    settings, tables, metrics = base.settings, base.tables, base.metrics
    modes = _modes(base, finaliser)
    ttl = timedelta(seconds=settings.upload_ttl_s)
    opening = Opening(
        tables.sessions, finaliser, base.world, metrics, limit=settings.max_open_uploads, ttl=ttl
    )
    presigner = Presigner(base.store, settings.presign_put_s)
    completing = Completing(tables.parts, finaliser)
    whole = _whole_files(base, finaliser)
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
        whole=whole,
        one_file=OneFileService(
            whole,
            outside.summaries,
            senders,
            default_mode=settings.body_mode,
            max_bytes=settings.proxy_max_bytes,
        ),
        batch=BatchService(
            whole,
            senders,
            workers=settings.batch_workers,
            max_file_bytes=settings.batch_max_file_bytes,
            max_bytes=settings.batch_max_bytes,
            metrics=metrics,
            log=base.log.event,
        ),
        management=ManagementService(tables.sessions, cleaner, metrics, outside.ended),
    )
