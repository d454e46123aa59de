"""Composition of the gateway: every part is made and joined here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.admission import Admission, Gate, Sizes, Unlimited
from gateway.bench import Bench
from gateway.connection import Server
from gateway.cors import Cors
from gateway.headers import HSTS, SECURITY, Injector
from gateway.limits import Counts, MemoryCounts, NoCounts, Proxies, RateLimits
from gateway.metrics import Metrics
from gateway.openapi import served_document
from gateway.pipeline import Pipeline
from gateway.pools import Pool, checks
from gateway.proxy import Proxy
from gateway.routes import RouteTable, entries
from gateway.server import Gateway
from gateway.settings import Settings
from gateway.shared_counts import RedisCounts
from services.kit.clock import World
from services.kit.codec import rfc3339
from services.kit.health import Health
from services.kit.log import Log
from services.kit.redis import Redis, connect
from services.kit.run import Process, Served
from services.kit.settings import public
from services.kit.tokens import CredentialSigner, UserTokens
from services.kit.upstream import Guards, Rules, Upstream, guards
from services.kit.web.body import Pace
from services.kit.web.health import health_handlers
from services.kit.web.listener import ABORT_S, server_options

GREETING = "API gateway working"


class Runner(web.ServerRunner):
    """Serves without an application, and closes the connections to the services at the end."""

    def __init__(self, server: web.Server, pools: Mapping[str, Pool], redis: Redis | None) -> None:
        super().__init__(server, shutdown_timeout=ABORT_S)
        self._pools, self._redis = pools, redis

    async def cleanup(self) -> None:
        await super().cleanup()
        for pool in self._pools.values():
            await pool.close()
        if self._redis is not None:
            await self._redis.close()


def served(process: Process[Settings, Metrics]) -> Served:
    """What serves the process."""
    pools = _pools(process.settings, process.metrics, process.world)
    redis = _redis(process)
    gateway = build(process.settings, process.metrics, process.world, process.log, pools, redis=redis)
    server = Server(
        gateway.handle,
        head_s=process.settings.head_s,
        refused=process.refused,
        options=server_options(process.refused, process.failed),
    )
    return Served(Runner(server, pools, redis), gateway)


def build(
    settings: Settings,
    metrics: Metrics,
    world: World,
    log: Log,
    pools: Mapping[str, Pool],
    *,
    redis: Redis | None,
) -> Gateway:
    """The gateway in front of these services; ``redis`` is there when a setting asks for it."""
    proxies = Proxies(settings.trusted_proxies)
    admission = _admission(settings, metrics)
    health = Health(
        "gateway",
        GREETING,
        {**checks(pools), "admission": admission.check},
        world.monotonic,
        details=lambda: {
            "admission": admission.shown(),
            "breakers": {service: pool.breakers() for service, pool in pools.items()},
        },
        draining=lambda: gateway.draining,
        # We go on without it, so it does not decide readiness.
        detailed_checks={"redis": redis.check} if redis is not None else {},
    )
    table = RouteTable(entries(bench=settings.bench_endpoints))
    own = {**health_handlers(health), "openapi": served_document(table.entries)}
    if settings.bench_endpoints:
        status = _status(settings, metrics, world, lambda: len(gateway.serving))
        own |= Bench(settings, world.rng, status).handlers()
    pipeline = Pipeline(
        cors=Cors(settings.cors_origins),
        table=table,
        own=own,
        limits=_limits(settings, metrics, world, redis),
        admission=admission,
        tokens=UserTokens(
            settings.jwt_secret.get_secret_value(), settings.jwt_issuer, settings.jwt_audience, world.now
        ),
        proxy=Proxy(pools, Injector(_signers(settings, world), proxies), Pace.of(settings)),
    )
    headers = {**SECURITY, **(HSTS if settings.hsts else {})}
    gateway = Gateway(
        pipeline,
        metrics=metrics,
        log=log,
        world=world,
        proxies=proxies,
        headers=headers,
    )
    return gateway


def _pools(settings: Settings, metrics: Metrics, world: World) -> Mapping[str, Pool]:
    urls = {
        "auth": settings.auth_urls,
        "upload": settings.upload_urls,
        "files": settings.files_urls,
    }
    rules = Rules(open_s=settings.breaker_open_s, probe=settings.breaker_probe)
    guard: Guards = guards(settings.breaker, rules, world.monotonic)
    return {
        service: Pool(
            [
                Upstream(service, address, metrics.upstream, pool=settings.upstream_pool, guard=guard())
                for address in addresses
            ]
        )
        for service, addresses in urls.items()
    }


def _admission(settings: Settings, metrics: Metrics) -> Admission:
    sizes = Sizes.of(
        settings.admitted, settings.admission_workers, settings.admission_queue, settings.admission_layers
    )
    kinds: Mapping[bool, Callable[[], Admission]] = {
        True: lambda: Gate(sizes, settings.queue_deadline_ms / 1000, metrics.admission),
        False: Unlimited,
    }
    return kinds[settings.admission]()


def _status(
    settings: Settings, metrics: Metrics, world: World, in_flight: Callable[[], int]
) -> Callable[[], dict[str, Any]]:
    """What ``/bench/status`` shows."""
    began, started_at = world.monotonic(), rfc3339(datetime.now(UTC))

    def status() -> dict[str, Any]:
        return {
            "service": "gateway",
            "pid": os.getpid(),
            "started_at": started_at,
            "uptime_s": round(world.monotonic() - began, 3),
            "requests": metrics.http.answered(),
            "in_flight": in_flight(),
            "settings": public(settings),
        }

    return status


def _redis(process: Process[Settings, Metrics]) -> Redis | None:
    settings = process.settings
    if settings.rate_limit_backend != "redis":
        return None
    return connect(settings, process.world, process.log.event)


def _limits(settings: Settings, metrics: Metrics, world: World, redis: Redis | None) -> RateLimits:
    counts: Counts = MemoryCounts(world.now)
    if redis is not None:
        counts = RedisCounts(redis, counts, metrics.rate_limit_fallback)
    if not settings.rate_limit:
        counts = NoCounts()
    return RateLimits(counts, settings.rate_limit_ip, settings.rate_limit_tiers, metrics.rate_limited)


def _signers(settings: Settings, world: World) -> Mapping[str, CredentialSigner]:
    keys = {"auth": settings.key_auth, "upload": settings.key_upload, "files": settings.key_files}
    return {
        service: CredentialSigner("gateway", service, key.get_secret_value(), world.now)
        for service, key in keys.items()
    }
