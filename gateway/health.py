"""The gateway's own routes: alive, ready, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from multidict import CIMultiDict

from gateway.message import JSON, Answer, Exchange, json_answer
from gateway.pipeline import Own
from services.kit.health import Health
from services.kit.web import PONG


def own_routes(health: Health) -> Mapping[str, Own]:
    """Handlers by route name; they pass no limit and ask for no token."""

    async def greeting(_: Exchange) -> Answer:
        return Answer(
            200, CIMultiDict({"Content-Type": "text/plain; charset=utf-8"}), health.greeting.encode()
        )

    async def live(_: Exchange) -> Answer:
        return json_answer(200, {"status": "alive", "service": health.service})

    async def ready(exchange: Exchange) -> Answer:
        return _checked(*await health.ready(exchange.request_id))

    async def detailed(exchange: Exchange) -> Answer:
        return _checked(*await health.ready(exchange.request_id, detailed=True))

    async def ping(_: Exchange) -> Answer:
        return Answer(200, CIMultiDict({"Content-Type": JSON}), PONG)

    return {"health": greeting, "live": live, "ready": ready, "health_detailed": detailed, "ping": ping}


def _checked(status: int, body: dict[str, object]) -> Answer:
    answer = json_answer(status, body)
    answer.error = "not_ready" if status == 503 else None
    return answer
