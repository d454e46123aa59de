"""Composition of the gateway: every part is made and joined here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from gateway.cors import Cors
from gateway.headers import HSTS, SECURITY, SERVER, Injector
from gateway.health import own_routes
from gateway.limits import Counts, MemoryCounts, NoCounts, Proxies, RateLimits
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.pools import Pool, checks
from gateway.proxy import Proxy
from gateway.routes import RouteTable, entries
from gateway.server import Gateway
from gateway.settings import Settings
from services.kit.clock import World
from services.kit.health import Health
from services.kit.log import Log
from services.kit.run import listening, process, server_of, stopped
from services.kit.tokens import CredentialSigner, UserTokens
from services.kit.upstream import Upstream

GREETING = "API gateway working"


async def serve(settings: Settings) -> None:
    """Run until the process is asked to stop."""
    metrics, world = Metrics(), World()
    async with process(settings, "gateway", metrics.registry, metrics.loop) as (log, stack):
        gateway = await build(settings, metrics, world, log, stack)
        server = server_of(gateway.handle, settings, metrics.http, log, cancels=True)
        async with listening(server, settings, log):
            await stopped(log, "gateway")
            gateway.health.draining = True


async def build(
    settings: Settings, metrics: Metrics, world: World, log: Log, stack: AsyncExitStack
) -> Gateway:
    """The gateway and its upstream pools, which ``stack`` closes."""
    pools = await _pools(settings, metrics, stack)
    proxies = Proxies(settings.trusted_networks)
    health = Health("gateway", GREETING, checks(pools), world.monotonic)
    pipeline = Pipeline(
        cors=Cors(settings.cors_origins),
        table=RouteTable(entries()),
        own=own_routes(health),
        limits=_limits(settings, metrics, world),
        tokens=UserTokens(settings.jwt_secret, settings.jwt_issuer, settings.jwt_audience, world.now),
        proxy=Proxy(pools, Injector(_signers(settings, world), proxies), settings.body_idle_s),
    )
    headers = {**SECURITY, **SERVER, **(HSTS if settings.hsts else {})}
    return Gateway(pipeline, metrics, log, health, world, proxies, headers)


async def _pools(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Mapping[str, Pool]:
    urls = {
        "auth": settings.auth_urls,
        "upload": settings.upload_urls,
        "files": settings.files_urls,
    }
    pools = {}
    for service, addresses in urls.items():
        replicas = [
            Upstream(
                service,
                address,
                metrics.upstream,
                pool=settings.upstream_pool,
                client=settings.http_client,
            )
            for address in addresses
        ]
        for replica in replicas:
            await stack.enter_async_context(replica)
        pools[service] = Pool(replicas)
    return pools


def _limits(settings: Settings, metrics: Metrics, world: World) -> RateLimits:
    counts: Counts = MemoryCounts(world.now) if settings.rate_limit else NoCounts()
    return RateLimits(counts, settings.rate_limit_ip, settings.rate_limit_tiers, metrics.rate_limited)


def _signers(settings: Settings, world: World) -> Mapping[str, CredentialSigner]:
    keys = {"auth": settings.key_auth, "upload": settings.key_upload, "files": settings.key_files}
    return {service: CredentialSigner("gateway", service, key, world.now) for service, key in keys.items()}
