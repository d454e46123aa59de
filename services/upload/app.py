"""The upload service as a process: what is opened at start, in which order, and what answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from services.kit.cache import open_cache
from services.kit.db import Database, open_database
from services.kit.health import Check, Health
from services.kit.migrate import migrate
from services.kit.run import Process, Served
from services.kit.s3 import S3Address, StoreHealth, open_client
from services.kit.sweeping import Scope
from services.kit.tokens import CredentialChecker, CredentialSigner
from services.kit.upstream import CALLEE_SHARE, Rules, Upstream, balanced, guards
from services.kit.web import app as kit
from services.kit.web.body import Pace
from services.kit.web.boundary import Boundary
from services.kit.web.forms import let_headers_be_wrong
from services.kit.web.sweep import SWEEPER
from services.upload.assembly import (
    Base,
    Outside,
    Tables,
    build_cleaner,
    build_finaliser,
    build_services,
    build_sweeper,
)
from services.upload.background import Background, Gauges, instance_lock
from services.upload.chunk_store.spool import Spool
from services.upload.finalise.worker import Finaliser
from services.upload.handlers import HANDLERS, SERVICES
from services.upload.metrics import Metrics
from services.upload.registration import Registrar
from services.upload.repository.sessions import Progress
from services.upload.routes import ROUTES
from services.upload.settings import Settings
from services.upload.store import prepare

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Upload service Working"


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
    address = S3Address.of(settings)
    store = await stack.enter_async_context(open_client(address, world, metrics.store.observe))
    owner = f"{instance}/{world.new_uuid()}"
    facts = await prepare(address, store, settings.cors_origins, owner.replace("/", "-"))
    tables = Tables.of(database, owner, settings)
    base = Base(settings, world, metrics, log, store, facts.capabilities, _spool(settings), tables)

    files = await _files(base, stack)
    registrar = _registrar(base, files)
    cleaner = build_cleaner(base, registrar)
    finaliser = build_finaliser(base, cleaner, registrar)
    watched = StoreHealth(store)
    health.checks.update(_checks(base, database, finaliser), store=watched.check)
    health.detailed_checks["bucket"] = watched.bucket
    health.details = lambda: {
        **facts.shown(),
        "breakers": {"files": [one.guard.state.name.lower() for one in files]},
    }
    ended = open_cache(
        settings, Progress, world, count=metrics.cache, log=log.event, checks=health.detailed_checks
    )
    outside = Outside(registrar, await stack.enter_async_context(ended))
    services = app[SERVICES] = build_services(base, finaliser, cleaner, outside)
    background = Background(
        finaliser,
        cleaner,
        instance_lock(direct_url, instance),
        renew_s=settings.lease_s / 4,
        left_s=lambda: min(boundary.left_s(), settings.shutdown_s),
        log=log.event,
    )
    gauges = Gauges(tables.jobs, metrics, base.spool)
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


def _disk_check(spool: Spool) -> Check:
    return spool.check


def _no_disk_check(_: Spool) -> Check:
    async def unused() -> str:
        return "not used: chunks go to the store"

    return unused


_SPOOL_CHECKS: Mapping[str, Callable[[Spool], Check]] = {"s3": _no_disk_check, "disk": _disk_check}


def _checks(base: Base, database: Database, finaliser: Finaliser) -> dict[str, Check]:
    return {
        "database": database.check,
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
