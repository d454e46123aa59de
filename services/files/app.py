"""Composition of the files service: every part is made and joined here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from services.files.accounts import Accounts
from services.files.copier import Copier
from services.files.downloads import Downloads
from services.files.forgetting import ROWS, forget_changed
from services.files.handlers import HANDLERS
from services.files.handlers.parts import SERVICES, Services
from services.files.links import Links
from services.files.metrics import Metrics
from services.files.model import Readable
from services.files.repository.files import Files
from services.files.repository.folders import Folders
from services.files.repository.shares import Shares
from services.files.repository.sweeps import SweepRows
from services.files.routes import ROUTES
from services.files.service.copying import Copying
from services.files.service.files import FileService
from services.files.service.folders import FolderService
from services.files.service.sharing import Sharing
from services.files.settings import Settings
from services.files.store_list import StoreList
from services.files.sweep import DeletedObjects, GoneRows, Strays
from services.kit.cache import Cache, open_cache
from services.kit.clock import World
from services.kit.db import Database, open_database
from services.kit.health import Check, Health
from services.kit.migrate import migrate
from services.kit.run import Process, Served
from services.kit.s3 import (
    BODY_CONNECTIONS,
    S3Address,
    S3Client,
    StoreError,
    StoreHealth,
    open_client,
    prepare_bucket,
)
from services.kit.sweeping import Scope, Sweeper
from services.kit.tokens import CredentialChecker, CredentialSigner
from services.kit.upstream import CALLEE_SHARE, Rules, Upstream, balanced, guards
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
            _opened(process) as opened,
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
            watched = StoreHealth(opened.store)
            checks.update(database=opened.database.check, store=watched.check)
            detailed_checks["bucket"] = watched.bucket
            app[SERVICES] = _services(process, opened, rows)
            sweeper = app[SWEEPER] = _sweeper(process, opened.database, opened.swept)
            timed = Scope(settings.sweep_dry_run, thorough=False)
            async with sweeper.sweeping(settings.sweep_interval_s, timed, world.rng):
                yield

    app.cleanup_ctx.append(parts)
    return app


@dataclass(frozen=True, slots=True)
class _Opened:
    """What has connections. ``swept`` is the store for sweeps, whose requests are counted apart."""

    database: Database
    store: S3Client
    swept: S3Client
    accounts: Accounts


@asynccontextmanager
async def _opened(process: Process[Settings, Metrics]) -> AsyncIterator[_Opened]:
    settings, metrics = process.settings, process.metrics
    address = S3Address.of(settings)
    await migrate(settings.direct_url, MIGRATIONS, "files")
    async with (
        open_database(
            settings.statements_url,
            "files",
            metrics.database,
            prepared=settings.keeps_prepared,
            size=settings.pool_size,
        ) as database,
        open_client(address, process.world, metrics.store.observe) as store,
        open_client(address, process.world, metrics.store.observe_sweep) as swept,
        AsyncExitStack() as stack,
    ):
        yield _Opened(database, store, swept, await _accounts(process, stack))


async def _accounts(process: Process[Settings, Metrics], stack: AsyncExitStack) -> Accounts:
    settings, world = process.settings, process.world
    signer = CredentialSigner("files", "auth", settings.internal_key_files_auth.get_secret_value(), world.now)
    rules = Rules(CALLEE_SHARE, settings.breaker_open_s, settings.breaker_probe)
    guard = guards(settings.breaker, rules, world.monotonic)
    auth = [
        await stack.enter_async_context(Upstream("auth", url, process.metrics.upstream, guard=guard()))
        for url in settings.auth_urls
    ]
    return Accounts(balanced(auth), signer, world)


async def _bucket(settings: Settings) -> None:
    """Raises ConnectionError, which ends the start with one line, when the store stays away or refuses."""
    try:
        await prepare_bucket(S3Address.of(settings))
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


def _services(process: Process[Settings, Metrics], opened: _Opened, rows: Cache[Readable]) -> Services:
    settings, metrics, world = process.settings, process.metrics, process.world
    database, store = opened.database, opened.store

    def count(cache: str) -> None:
        metrics.presigned("get", cache).inc()

    files = Files(database)
    links = Links(store, settings.presign_get_s, world.now, count)
    service = FileService(files, {"postgres": files, "s3": StoreList(store)}, store, links, rows)
    return Services(
        files=service,
        downloads=Downloads(
            service, metrics.download_bytes, limit=settings.downloads_per_user, places=BODY_CONNECTIONS
        ),
        copying=Copying(files, Copier(store), world.new_uuid),
        sharing=Sharing(files, Shares(database), opened.accounts, settings.public_url_template),
        folders=FolderService(Folders(database)),
        batch_files=metrics.batch_files,
    )
