"""Composition of the auth service: every part is made and joined here."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from services.auth.handlers import HANDLERS, SERVICE
from services.auth.hashing import HashPool
from services.auth.memory import FailureLimiter, NoProofs, ProofCache, Proofs
from services.auth.metrics import Metrics
from services.auth.passwords import SALT_BYTES, Passwords
from services.auth.repository import Accounts
from services.auth.routes import ROUTES
from services.auth.service import AuthService
from services.auth.settings import Settings
from services.kit.clock import World
from services.kit.db import Database, open_database
from services.kit.health import Check, Health
from services.kit.migrate import migrate
from services.kit.run import Process, Served
from services.kit.tokens import CredentialChecker, UserTokens
from services.kit.web import app as kit
from services.kit.web.body import Pace
from services.kit.web.boundary import Boundary

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Auth service healthy"
PEPPER_BYTES = 32


def served(process: Process[Settings, Metrics]) -> Served:
    """What serves the process."""
    boundary = process.boundary()
    return process.serving(application(process, boundary), boundary)


def application(process: Process[Settings, Metrics], boundary: Boundary) -> web.Application:
    settings, world = process.settings, process.world
    checks: dict[str, Check] = {}
    app = kit.application(
        ROUTES,
        HANDLERS,
        boundary=boundary,
        credentials=CredentialChecker(
            "auth",
            {
                "gateway": settings.internal_key_gateway_auth.get_secret_value(),
                "files": settings.internal_key_files_auth.get_secret_value(),
            },
            world.now,
        ),
        health=Health("auth", GREETING, checks, world.monotonic, draining=lambda: boundary.draining),
        pace=Pace.of(settings),
    )

    async def parts(app: web.Application) -> AsyncIterator[None]:
        async with _opened(process) as database:
            checks["database"] = database.check
            pool = HashPool(settings.effective_hash_workers, settings.hash_queue, world.monotonic)
            process.metrics.queue.watch("hash", lambda: pool.waiting, settings.hash_queue)
            app[SERVICE] = _service(settings, world, process.metrics, database, pool)
            yield
            pool.close()

    app.cleanup_ctx.append(parts)
    return app


@asynccontextmanager
async def _opened(process: Process[Settings, Metrics]) -> AsyncIterator[Database]:
    settings = process.settings
    await migrate(settings.direct_url, MIGRATIONS, "auth")
    async with open_database(
        settings.statements_url,
        "auth",
        process.metrics.database,
        prepared=settings.keeps_prepared,
        size=settings.pool_size,
    ) as database:
        yield database


def _service(
    settings: Settings, world: World, metrics: Metrics, database: Database, pool: HashPool
) -> AuthService:
    loop = asyncio.get_running_loop()

    def observe(scheme: str, op: str, seconds: float) -> None:
        """Called by the hashing threads; only the loop's own thread counts."""
        loop.call_soon_threadsafe(metrics.hash_seconds(scheme, op).observe, seconds)

    return AuthService(
        Accounts(database),
        Passwords(settings.password_hash, lambda: secrets.token_bytes(SALT_BYTES), observe),
        pool,
        _proofs(settings, world),
        FailureLimiter(settings.login_failures_per_min, world.now),
        UserTokens(
            settings.jwt_secret.get_secret_value(),
            settings.jwt_issuer,
            settings.jwt_audience,
            world.now,
            settings.jwt_ttl_s,
        ),
        world,
        metrics,
    )


def _proofs(settings: Settings, world: World) -> Proofs:
    if not settings.login_cache_s:
        return NoProofs()
    return ProofCache(settings.login_cache_s, secrets.token_bytes(PEPPER_BYTES), world.monotonic)
