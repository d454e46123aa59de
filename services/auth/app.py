"""Composition of the auth service: every part is made and joined here."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from services.auth.handlers import Handlers
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
from services.kit.health import Health
from services.kit.migrate import migrate
from services.kit.run import listening, process, server_of, stopped
from services.kit.tokens import CredentialChecker, UserTokens
from services.kit.web import Boundary, Edge

MIGRATIONS = Path(__file__).parent / "migrations"
GREETING = "Auth service healthy"
PEPPER_BYTES = 32


async def serve(settings: Settings) -> None:
    """Run until the process is asked to stop."""
    metrics, world = Metrics(), World()
    async with process(settings, "auth", metrics.registry, metrics.loop) as (log, stack):
        await migrate(settings.database_direct_url or settings.database_url, MIGRATIONS, "auth")
        database = await stack.enter_async_context(
            open_database(
                settings.database_url,
                "auth",
                metrics.database,
                prepared=settings.db_prepared,
            )
        )
        pool = HashPool(settings.effective_hash_workers, settings.hash_queue, world.monotonic)
        stack.callback(pool.close)
        metrics.queue.watch("hash", lambda: pool.waiting, settings.hash_queue)
        health = Health("auth", GREETING, {"database": database.check}, world.monotonic)
        credentials = CredentialChecker(
            "auth",
            {"gateway": settings.internal_key_gateway_auth, "files": settings.internal_key_files_auth},
            world.now,
        )
        edge = Edge("auth", log, metrics.http, health, world, credentials)
        service = _service(settings, world, metrics, database, pool)
        boundary = Boundary(edge, ROUTES, Handlers(service).table())
        server = server_of(boundary.handle, settings, metrics.http, log)
        async with listening(server, settings, log):
            await stopped(log, "auth")
            health.draining = True


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
            settings.jwt_secret, settings.jwt_issuer, settings.jwt_audience, world.now, settings.jwt_ttl_s
        ),
        world,
        metrics,
    )


def _proofs(settings: Settings, world: World) -> Proofs:
    if not settings.login_cache_s:
        return NoProofs()
    return ProofCache(settings.login_cache_s, secrets.token_bytes(PEPPER_BYTES), world.monotonic)
