"""The gateway's own routes: alive, ready, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.message import Exchange, answer, json_answer
from gateway.pipeline import Own
from services.kit.health import Health
from services.kit.http.message import JSON, Response
from services.kit.web import PONG


def own_routes(health: Health) -> Mapping[str, Own]:
    """Handlers by route name; they pass no limit and ask for no token."""

    async def greeting(_: Exchange) -> Response:
        return answer(200, {"Content-Type": "text/plain; charset=utf-8"}, health.greeting.encode())

    async def live(_: Exchange) -> Response:
        return json_answer(200, {"status": "alive", "service": health.service})

    async def ready(exchange: Exchange) -> Response:
        return _checked(*await health.ready(exchange.request_id))

    async def detailed(exchange: Exchange) -> Response:
        return _checked(*await health.ready(exchange.request_id, detailed=True))

    async def ping(_: Exchange) -> Response:
        return answer(200, {"Content-Type": JSON}, PONG)

    return {"health": greeting, "live": live, "ready": ready, "health_detailed": detailed, "ping": ping}


def _checked(status: int, body: dict[str, object]) -> Response:
    response = json_answer(status, body)
    response.error = "not_ready" if status == 503 else None
    return response
