"""How the parts of the upload service are joined: repositories, finaliser, cleaning, services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.kit.cache import Cache
from services.kit.clock import World
from services.kit.db import Database
from services.kit.log import Log
from services.kit.s3 import BODY_CONNECTIONS, Capabilities, S3Client
from services.kit.sweeping import Sweeper
from services.upload.body_modes.memory import Memory
from services.upload.body_modes.modes import body_modes
from services.upload.chunk_store.disk import DiskChunkStore
from services.upload.chunk_store.s3 import S3ChunkStore
from services.upload.chunk_store.sink import ChunkStore
from services.upload.chunk_store.spool import Spool
from services.upload.cleaning import Cleaner
from services.upload.finalise.direct import MultipartMaker, SingleMaker
from services.upload.finalise.journal import Backoff, DetachedJournal, LeasedJournal
from services.upload.finalise.modes import Early, FinaliseMode, Inline
from services.upload.finalise.plan import BUFFER_BYTES
from services.upload.finalise.pool import Buffers
from services.upload.finalise.proxied import EmptyMaker, Maker, ProxiedMaker
from services.upload.finalise.repack import Repack
from services.upload.finalise.runner import Register, Runner
from services.upload.finalise.whole import WholeMaker
from services.upload.finalise.worker import Finaliser, Limits
from services.upload.handlers import Services
from services.upload.leftovers import Leftovers, Tombstones
from services.upload.metrics import Metrics
from services.upload.model import Method
from services.upload.placement import Placement
from services.upload.repository.chunks import Chunks
from services.upload.repository.ended import Ended
from services.upload.repository.jobs import Jobs
from services.upload.repository.parts import Parts
from services.upload.repository.sessions import Progress, Sessions
from services.upload.repository.whole import WholeUploads
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
from services.upload.summaries import Summaries
from services.upload.sweep import (
    EndedRows,
    EndedUploads,
    ExpiredUploads,
    StrayObjects,
    StraySpoolFiles,
    StrayUploads,
)

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

    registrar: Register
    ended: Cache[Progress]


def chunk_stores(base: Base) -> dict[str, ChunkStore]:
    """Every value of ``CHUNK_STORE``."""
    placement = Placement(base.capabilities.direct_final)
    return {
        "s3": S3ChunkStore(base.store, base.tables.sessions, placement, base.world),
        "disk": DiskChunkStore(base.spool, base.world),
    }


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
            StrayUploads(ended, store, tombstones, settings.multipart_sweep_age_s),
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
    senders = Senders(settings.uploads_per_user, BODY_CONNECTIONS)
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
            Summaries(tables.whole, outside.registrar),
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
