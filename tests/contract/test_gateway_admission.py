"""Admission control in a gateway process, with small limits."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from tests.contract.test_gateway_process import Running, running
from tests.unit.gateway.support import (
    AUTHORIZED,
    DOWNLOAD,
    MIB,
    Front,
    Recorder,
    chunk_head,
    fronting,
    recorded,
    serving,
    token,
)
from tests.unit.gateway.wire import SAFE_S, Wire, request_bytes, statuses, until

pytestmark = pytest.mark.contract
LOGIN = request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}")
SMALL = {"ADMISSION_WORKERS": "2", "ADMISSION_QUEUE": "3"}


class Slow:
    """A service that answers when it is told to."""

    def __init__(self) -> None:
        self.arrived = 0
        self.go_on = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.arrived += 1
        await request.content.read()
        await self.go_on.wait()
        return web.json_response({})


def counts(front: Front) -> tuple[float, float]:
    return front.sample("admission_running"), front.sample("admission_queued")


def paused(front: Front) -> int:
    """Connections with a request that are not read from."""
    transports = [getattr(one, "transport", None) for one in front.boundary.serving]
    return sum(one is not None and not one.is_reading() for one in transports)


async def send(front: Front, number: int, request: bytes = LOGIN) -> list[Wire]:
    """One after the other, so that their order is known."""
    wires = []
    for _ in range(number):
        before = counts(front)
        wires.append(await front.connect())
        wires[-1].send(request)
        await until(lambda before=before: counts(front) != before)  # type: ignore[misc]
    return wires


async def test_a_full_gateway_says_so_at_once_and_serves_all_it_let_in() -> None:
    service = Slow()
    async with serving(service.handle) as port, fronting(port, None, **SMALL) as front:
        wires = await send(front, 5)
        assert counts(front) == (2, 3)
        for _ in range(3):
            refused = await front.request("POST", "/auth/login", None, b"{}")
            assert (refused.status, refused.error, refused.value("Retry-After")) == (503, "overloaded", "1")
        assert (await front.request("GET", "/live")).status == 200
        assert front.sample("admission_rejected_total", reason="full") == 3
        assert front.counted(503) == 3
        assert service.arrived == 2
        service.go_on.set()
        assert [(await wire.answer())[0] for wire in wires] == [200] * 5
        assert counts(front) == (0, 0)
        assert front.sample("admission_wait_seconds_count") == 3
        assert (await front.request("POST", "/auth/login", None, b"{}")).status == 200


@pytest.mark.parametrize("line", ["POST /auth/login", "POST /bench/echo"])
async def test_a_small_body_that_drips_holds_no_place(line: str) -> None:
    """Anybody can send one, from as many connections as he likes."""
    request = request_bytes(line, "Content-Length: 2", body=b"{}")
    given = {"BENCH_ENDPOINTS": "1", "QUEUE_DEADLINE_MS": "1000", **SMALL}
    async with recorded(None, **given) as (front, _):
        dripping = [await front.connect() for _ in range(5)]
        for wire in dripping:
            wire.send(request[:-1])
        await until(lambda: len(front.boundary.serving) == 5)
        assert counts(front) == (0, 0)
        assert (await front.request("POST", "/auth/login", None, b"{}")).status == 200
        for wire in dripping:
            wire.send(request[-1:])
        assert [(await wire.answer())[0] for wire in dripping] == [200] * 5


async def test_who_waits_too_long_is_told() -> None:
    service = Slow()
    async with (
        serving(service.handle) as port,
        fronting(port, None, QUEUE_DEADLINE_MS="50", **SMALL) as front,
    ):
        wires = await send(front, 2)
        late = await front.request("POST", "/auth/login", None, b"{}")
        assert (late.status, late.error, late.value("Retry-After")) == (503, "queue_timeout", "1")
        assert front.sample("admission_rejected_total", reason="deadline") == 1
        assert counts(front) == (2, 0)
        service.go_on.set()
        assert [(await wire.answer())[0] for wire in wires] == [200, 200]


@pytest.mark.parametrize("half", [False, True])
async def test_a_client_that_leaves_frees_its_place(half: bool) -> None:
    service = Slow()
    async with serving(service.handle) as port, fronting(port, None, **SMALL) as front:
        running, _, waiting, last = await send(front, 4)
        for wire in (waiting, running):
            if half:
                wire.writer.write_eof()
            else:
                wire.leave()
        await until(lambda: service.arrived == 3)  # the last one took the place of the first
        assert counts(front) == (2, 0)
        service.go_on.set()
        assert (await last.answer())[0] == 200
        await until(lambda: counts(front) == (0, 0))
        assert front.counted(499) == 2


async def test_a_client_that_leaves_behind_an_unread_body_is_seen() -> None:
    """Nobody reads from its connection while it waits, so the connection does not say that it ended."""
    service = Slow()
    head = request_bytes("POST /api/upload/proxy/chunk?id=0", AUTHORIZED, f"Content-Length: {5 * MIB}")
    async with serving(service.handle) as port, fronting(port, None, **SMALL) as front:
        wires = await send(front, 2)
        (waiting,) = await send(front, 1, head + b"x" * 600_000)
        await until(lambda: paused(front) == 1)
        assert counts(front) == (2, 1)
        waiting.leave()
        await until(lambda: counts(front) == (2, 0))
        await until(lambda: front.counted(499) == 1)
        service.go_on.set()
        assert [(await wire.answer())[0] for wire in wires] == [200, 200]


async def test_the_last_tenth_of_the_places_is_for_users_who_send_little() -> None:
    service, other = Slow(), f"Authorization: Bearer {token(uuid4())}"
    few = {"ADMISSION_WORKERS": "10", "ADMISSION_QUEUE": "10"}
    line, length = "POST /api/upload/proxy/chunk?id=0", f"Content-Length: {MIB}"
    async with serving(service.handle) as port, fronting(port, None, **few) as front:
        greedy = await send(front, 9, chunk_head(MIB))
        refused = await front.connect()
        refused.send(chunk_head(MIB))
        assert (await refused.answer())[0] == 503
        assert front.sample("admission_rejected_total", reason="full") == 1
        (newcomer,) = await send(front, 1, request_bytes(line, other, length))
        assert counts(front) == (10, 0)
        service.go_on.set()
        newcomer.send(bytes(MIB))
        assert (await newcomer.answer())[0] == 200
        for wire in greedy:
            wire.leave()
        await until(lambda: counts(front) == (0, 0))
        again = await send(front, 9, chunk_head(MIB))  # whoever left counts no more
        for wire in again:
            wire.send(bytes(MIB))
        assert [(await wire.answer())[0] for wire in again] == [200] * 9


async def test_a_place_is_held_until_the_answer_is_sent() -> None:
    async def large(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(40 * MIB)})
        await response.prepare(request)
        for _ in range(40):
            await response.write(bytes(MIB))
        return response

    async with serving(large) as port, fronting(port, None, **SMALL) as front:
        reader = await front.connect()
        reader.send(request_bytes(DOWNLOAD))
        await reader.head()
        assert counts(front) == (1, 0)
        async with asyncio.timeout(SAFE_S):
            await reader.reader.readexactly(40 * MIB)
        await until(lambda: counts(front) == (0, 0))


async def test_what_is_refused_before_takes_no_place_and_what_is_refused_after_gives_it_back() -> None:
    async with recorded(None, RATE_LIMIT_IP="3", **SMALL) as (front, _):
        assert (await front.request("GET", "/nowhere")).status == 404
        for _ in range(3):
            assert (await front.request("GET", "/api/files/me/owned")).status == 401
        assert (await front.request("GET", "/api/files/me/owned")).status == 429
        assert counts(front) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "running"),
    [
        ({"ADMISSION": "off"}, 0),
        ({"ADMISSION_LAYERS": "ccu", "MAX_CCU": "10", "CCU_UTILISATION": "1"}, 8),
        ({"ADMISSION_LAYERS": "queue", "MAX_CCU": "2", "CCU_UTILISATION": "1"}, 2),
    ],
)
async def test_layers(settings: dict[str, str], running: int) -> None:
    service = Slow()
    async with serving(service.handle) as port, fronting(port, None, **{**SMALL, **settings}) as front:
        wires = [await front.connect() for _ in range(8)]
        for wire in wires:
            wire.send(LOGIN)
        refused = 3 if running == 2 else 0
        await until(lambda: service.arrived == (running or 8) and front.counted(503) == refused)
        assert counts(front)[0] == running
        service.go_on.set()
        answered = [(await wire.answer())[0] for wire in wires]
        assert (answered.count(200), answered.count(503)) == (8 - refused, refused)


async def test_health_shows_a_full_gateway() -> None:
    service = Slow()
    settings = {"ADMISSION_WORKERS": "1", "ADMISSION_QUEUE": "1", "BREAKER_OPEN_S": "7"}
    recorder = Recorder()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await (recorder if request.path == "/live" else service).handle(request)

    async with serving(handle) as port, fronting(port, None, **settings) as front:
        await send(front, 2)
        detailed = await front.request("GET", "/health/detailed")
        body = detailed.json()
        assert (detailed.status, body["error"]) == (503, "not_ready")
        assert {name for name, check in body["checks"].items() if not check["ok"]} == {"admission"}
        assert (body["admission"]["running"], body["admission"]["queued"]) == (1, 1)
        assert body["breakers"] == {"auth": ["closed"], "upload": ["closed"], "files": ["closed"]}
        service.go_on.set()


async def flood(gateway: Running, number: int, statuses: list[int]) -> None:
    """So many requests at once, each on a connection of its own."""

    async def one() -> None:
        wire = await gateway.connect()
        wire.send(LOGIN)
        statuses.append((await wire.answer())[0])
        wire.leave()

    await asyncio.gather(*(one() for _ in range(number)))


async def test_a_process_is_back_at_once_after_too_much() -> None:
    service = Slow()
    async with serving(service.handle) as port, running(port, 0, **SMALL) as gateway:
        first, second = list[int](), list[int]()
        storm = asyncio.create_task(flood(gateway, 200, first))
        await until(lambda: first == [503] * 195)
        service.go_on.set()
        await storm
        assert first[195:] == [200] * 5
        await flood(gateway, 5, second)
        assert second == [200] * 5
        wire = await gateway.connect()
        wire.send(request_bytes("GET /health/detailed", "Connection: close"))
        answer: Any = await wire.rest()
        assert statuses(answer) == [200]
        assert b'"running":0' in answer
