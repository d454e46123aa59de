"""The admin port of every process: its figures, and with ``BENCH_ENDPOINTS`` its settings."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.kit.codec import rfc3339
from services.kit.metrics import exposition
from services.kit.settings import ProcessSettings, public
from services.kit.snapshot import Snapshot
from services.kit.web.answers import JSON, json_response


def admin_app(
    settings: ProcessSettings, service: str, instance: str, registry: CollectorRegistry
) -> web.Application:
    """``GET /metrics`` for Prometheus, or as JSON for whoever accepts nothing else; the rest is for
    experiments: ``POST /metrics/reset`` and ``GET /settings``. ``GET /live`` asks this very process, also
    where several share the public port."""
    started_at = _now()
    snapshot = Snapshot(registry, started_at)
    who = {"service": service, "instance": instance, "pid": os.getpid(), "started_at": started_at}

    async def metrics(request: web.Request) -> web.Response:
        if request.headers.get("Accept", "").split(";")[0].strip().lower() == JSON:
            return json_response(who | {"since": snapshot.since, "metrics": snapshot.metrics()})
        return web.Response(body=await exposition(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def reset(_: web.Request) -> web.Response:
        snapshot.reset(_now())
        return json_response(who | {"since": snapshot.since})

    async def shown(_: web.Request) -> web.Response:
        return json_response(who | {"settings": public(settings)})

    async def live(_: web.Request) -> web.Response:
        return json_response(who)

    app = web.Application()
    app.router.add_get("/live", live)
    app.router.add_get("/metrics", metrics)
    if settings.bench_endpoints:
        app.router.add_post("/metrics/reset", reset)
        app.router.add_get("/settings", shown)
    return app


@asynccontextmanager
async def admin_listening(app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    """Serves the admin port inside."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _now() -> str:
    return rfc3339(datetime.now(UTC))
