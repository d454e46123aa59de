"""The health routes of every process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from services.kit.errors import ERROR_CODE
from services.kit.health import Health
from services.kit.trail import TRAIL
from services.kit.web.answers import JSON_HEADERS, json_response

PONG = b'{"status":"pong"}'


def health_handlers(
    health: Health,
) -> dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]]:
    """By route name; see ``routing.health_routes``."""

    async def greeting(_: web.BaseRequest) -> web.Response:
        return web.Response(text=health.greeting)

    async def live(_: web.BaseRequest) -> web.Response:
        return json_response({"status": "alive", "service": health.service})

    async def ready(_: web.BaseRequest) -> web.Response:
        return _readiness(*await health.ready(TRAIL.get().request_id))

    async def detailed(_: web.BaseRequest) -> web.Response:
        return _readiness(*await health.ready(TRAIL.get().request_id, detailed=True))

    async def ping(_: web.BaseRequest) -> web.Response:
        return web.Response(body=PONG, headers=JSON_HEADERS)

    return {"health": greeting, "live": live, "ready": ready, "health_detailed": detailed, "ping": ping}


def _readiness(status: int, body: Mapping[str, Any]) -> web.Response:
    return json_response(body, status, {ERROR_CODE: "not_ready"} if status == 503 else None)
