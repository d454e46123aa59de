"""Composition of the files service: every part is made and joined here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from services.files.downloads import Downloads
from services.files.forgetting import ROWS, forget_changed
from services.files.handlers import HANDLERS, SERVICES, Services
from services.files.links import Links
from services.files.metrics import Metrics
from services.files.model import Readable
from services.files.repository import Files
from services.files.routes import ROUTES
from services.files.service import FileService
from services.files.settings import Settings
from services.files.store_list import StoreList
from services.files.sweep import DeletedObjects, GoneRows, Strays
from services.files.sweep_rows import SweepRows
from services.kit.cache import Cache, open_cache
from services.kit.clock import World
from services.kit.db import Database, open_database
from services.kit.health import Check, Health
from services.kit.migrate import migrate
from services.kit.run import Process, Served
from services.kit.s3 import S3Client, StoreError, StoreHealth, open_client, prepare_bucket
from services.kit.sweeping import Scope, Sweeper
from services.kit.tokens import CredentialChecker
from services.kit.web import app as kit
from services.kit.web.body import Pace
from services.kit.web.boundary import Boundary
from services.kit.web.sweep import SWEEPER

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Files service Working"


def served(process: Process[Settings, Metrics]) -> Served:
    """What serves the process."""
    boundary = process.boundary()
    return process.serving(application(process, boundary), boundary)


def application(process: Process[Settings, Metrics], boundary: Boundary) -> web.Application:
    settings, world = process.settings, process.world
    checks: dict[str, Check] = {}
    detailed_checks: dict[str, Check] = {}
    health = Health(
        "files",
        GREETING,
        checks,
        world.monotonic,
        detailed_checks=detailed_checks,
        draining=lambda: boundary.draining,
    )
    app = kit.application(
        ROUTES,
        HANDLERS,
        boundary=boundary,
        credentials=_credentials(settings, world),
        health=health,
        pace=Pace.of(settings),
    )

    app.middlewares.append(forget_changed)

    async def parts(app: web.Application) -> AsyncIterator[None]:
        async with (
            _opened(process) as (database, store, swept),
            open_cache(
                settings,
                Readable,
                world,
                count=process.metrics.cache,
                log=process.log.event,
                checks=detailed_checks,
            ) as rows,
        ):
            app[ROWS] = rows
            await _bucket(settings)
            watched = StoreHealth(store)
            checks.update(database=database.check, store=watched.check)
            detailed_checks["bucket"] = watched.bucket
            sweeper = _sweeper(process, database, swept)
            app[SERVICES] = _services(process, database, store, rows)
            app[SWEEPER] = sweeper
            timed = Scope(settings.sweep_dry_run, thorough=False)
            async with sweeper.sweeping(settings.sweep_interval_s, timed, world.rng):
                yield

    app.cleanup_ctx.append(parts)
    return app


@asynccontextmanager
async def _opened(process: Process[Settings, Metrics]) -> AsyncIterator[tuple[Database, S3Client, S3Client]]:
    """The database, the store for requests, and the store for sweeps."""
    settings, metrics = process.settings, process.metrics
    await migrate(settings.direct_url, MIGRATIONS, "files")
    async with (
        open_database(
            settings.statements_url,
            "files",
            metrics.database,
            prepared=settings.keeps_prepared,
            size=settings.pool_size,
        ) as database,
        open_client(settings.s3, process.world, metrics.store.observe) as store,
        open_client(settings.s3, process.world, metrics.store.observe_sweep) as swept,
    ):
        yield database, store, swept


async def _bucket(settings: Settings) -> None:
    """Raises ConnectionError, which ends the start with one line, when the store stays away or refuses."""
    try:
        await prepare_bucket(settings.s3)
    except StoreError as error:
        raise ConnectionError(f"the object store cannot be used ({error.code})") from error


def _credentials(settings: Settings, world: World) -> CredentialChecker:
    keys = {
        "gateway": settings.internal_key_gateway_files.get_secret_value(),
        "upload": settings.internal_key_upload_files.get_secret_value(),
        "operator": settings.internal_key_operator_files.get_secret_value(),
    }
    return CredentialChecker("files", keys, world.now)


def _sweeper(process: Process[Settings, Metrics], database: Database, store: S3Client) -> Sweeper:
    settings, rows = process.settings, SweepRows(database)
    strays = Strays(
        rows,
        store,
        grace_s=settings.delete_grace_s,
        orphan_age_s=settings.orphan_age_s,
        delete=settings.orphan_delete,
    )
    return Sweeper(
        (DeletedObjects(rows, store, settings.delete_grace_s), strays, GoneRows(rows, settings.gone_row_s)),
        direct_url=settings.direct_url,
        service="files",
        metrics=process.metrics.sweep,
        log=process.log.event,
    )


def _services(
    process: Process[Settings, Metrics], database: Database, store: S3Client, rows: Cache[Readable]
) -> Services:
    settings, metrics = process.settings, process.metrics

    def count(cache: str) -> None:
        metrics.presigned("get", cache).inc()

    files = Files(database)
    links = Links(store, settings.presign_get_s, process.world.now, count)
    service = FileService(files, {"postgres": files, "s3": StoreList(store)}, store, links, rows)
    return Services(service, Downloads(service, metrics.download_bytes))
