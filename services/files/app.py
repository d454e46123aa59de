"""Composition of the files service: every part is made and joined here."""

from __future__ import annotations

from pathlib import Path

from services.files.downloads import Downloads
from services.files.handlers import Handlers
from services.files.links import Links
from services.files.metrics import Metrics
from services.files.repository import Files
from services.files.routes import ROUTES
from services.files.service import FileService
from services.files.settings import Settings
from services.files.store_list import StoreList
from services.kit.clock import World
from services.kit.db import Database, open_database
from services.kit.health import Health
from services.kit.migrate import migrate
from services.kit.run import listening, process, server_of, stopped
from services.kit.s3 import (
    BucketState,
    ObjectStore,
    S3Client,
    StoreError,
    StoreHealth,
    open_client,
    prepare_bucket,
)
from services.kit.tokens import CredentialChecker
from services.kit.web import Boundary, Edge

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Files service Working"


async def serve(settings: Settings) -> None:
    """Run until the process is asked to stop."""
    metrics, world = Metrics(), World()
    async with process(settings, "files", metrics.registry, metrics.loop) as (log, stack):
        await migrate(settings.database_direct_url or settings.database_url, MIGRATIONS, "files")
        database = await stack.enter_async_context(
            open_database(
                settings.database_url,
                "files",
                metrics.database,
                prepared=settings.db_prepared,
            )
        )
        store = await stack.enter_async_context(
            open_client(settings.s3, world, metrics.store.observe, client=settings.http_client)
        )
        bucket = await _bucket(settings, store)
        watched = StoreHealth(store, settings.s3, bucket)
        health = Health(
            "files",
            GREETING,
            {"database": database.check, "store": watched.check},
            world.monotonic,
            detailed_checks={"bucket": watched.bucket},
            details=watched.details,
        )
        edge = Edge("files", log, metrics.http, health, world, _credentials(settings, world))
        boundary = Boundary(edge, ROUTES, _handlers(settings, metrics, world, database, store).table())
        server = server_of(boundary.handle, settings, metrics.http, log)
        async with listening(server, settings, log):
            await stopped(log, "files")
            health.draining = True


async def _bucket(settings: Settings, store: S3Client) -> BucketState:
    """Raises ConnectionError, which ends the start with one line, when the store stays away or refuses."""
    try:
        return await prepare_bucket(settings.s3, store, settings.origins)
    except StoreError as error:
        raise ConnectionError(f"the object store cannot be used ({error.code})") from error


def _credentials(settings: Settings, world: World) -> CredentialChecker:
    keys = {"gateway": settings.internal_key_gateway_files, "upload": settings.internal_key_upload_files}
    return CredentialChecker("files", keys, world.now)


def _handlers(
    settings: Settings, metrics: Metrics, world: World, database: Database, store: ObjectStore
) -> Handlers:
    def count(cache: str) -> None:
        metrics.presigned("get", cache).inc()

    files = Files(database)
    links = Links(store, settings.presign_get_s, world.now, count)
    service = FileService(files, {"postgres": files, "s3": StoreList(store)}, store, links)
    downloads = Downloads(service, metrics.download_bytes)
    return Handlers(service, downloads)
