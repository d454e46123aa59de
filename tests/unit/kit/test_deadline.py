"""The caller's deadline: when it runs, what is left of it, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from services.kit import deadline
from services.kit.client import UpstreamTimeout
from services.kit.clock import World
from services.kit.deadline import DEADLINE, HEADER, Deadline
from services.kit.health import Health
from services.kit.log import Log
from services.kit.metrics import HttpMetrics
from services.kit.tokens import CredentialChecker, CredentialSigner
from services.kit.web.answers import json_response
from services.kit.web.app import application
from services.kit.web.body import Pace, pieces
from services.kit.web.boundary import Boundary
from services.kit.web.routing import Route, health_routes
from tests.unit.kit.upstream_peer import client_of, read_head, scripted

pytestmark = pytest.mark.unit
KEY = "g" * 32
PACE = Pace(5.0, 0, 60.0)


def test_it_runs_from_the_end_of_the_body() -> None:
    now = [0.0]
    one = Deadline(10.0, lambda: now[0])
    now[0] = 7.0
    assert one.left_s() == 10.0
    one.start()
    now[0] = 9.0
    one.start()  # only the first counts
    assert one.left_s() == 8.0
    now[0] = 99.0
    assert one.left_s() == 0.0


@pytest.mark.parametrize(
    ("limit_s", "own_s", "left_s", "wait_s"),
    [(60.0, 55.0, 55.0, 55.0), (60.0, 600.0, 60.0, 59.0), (5.0, 55.0, 5.0, 4.5), (0.1, 55.0, 0.1, 0.09)],
)
def test_whoever_waits_leaves_time_for_the_answer(
    limit_s: float, own_s: float, left_s: float, wait_s: float
) -> None:
    token = DEADLINE.set(Deadline(limit_s))
    try:
        assert deadline.left_s(own_s) == left_s
        assert deadline.wait_s(own_s) == pytest.approx(wait_s)
        deadline.none()
        assert (deadline.left_s(own_s), deadline.wait_s(own_s)) == (own_s, own_s)
    finally:
        DEADLINE.reset(token)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "x", "1234567890", "٣"])
def test_what_is_no_number_of_milliseconds_is_no_deadline(text: str) -> None:
    assert deadline.parse(text) is None


async def left(request: web.Request) -> web.StreamResponse:
    """What is left before and after the body is read, of 100 s."""
    before = deadline.left_s(100.0)
    async for _ in pieces(request, PACE):
        pass
    return json_response([before, deadline.left_s(100.0)])


@asynccontextmanager
async def service() -> AsyncIterator[ClientSession]:
    boundary = Boundary(HttpMetrics(CollectorRegistry()), Log("things", "things", "error", "off"), World())
    app = application(
        (Route("POST", "/left", "left", body="raw"), *health_routes()),
        {"left": left},
        boundary=boundary,
        credentials=CredentialChecker("things", {"gateway": KEY}, World().now),
        health=Health("things", "Things work", {}, World().monotonic),
        pace=PACE,
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    token = CredentialSigner("gateway", "things", KEY, World().now).token(None)
    try:
        async with ClientSession(
            f"http://127.0.0.1:{runner.addresses[0][1]}", headers={"X-Service-Token": token}
        ) as session:
            yield session
    finally:
        await runner.cleanup()


async def test_a_service_takes_it_over_from_the_header() -> None:
    async with service() as session:
        async with session.post("/left", headers={HEADER: "20000"}, data=b"x") as answer:
            before, after = await answer.json()
            assert 15 < after <= before <= 20
        async with session.post("/left", data=b"x") as answer:  # the next one on this connection has none
            assert await answer.json() == [100.0, 100.0]
        async with session.post("/left", headers={HEADER: "0"}, data=b"x") as answer:
            assert (answer.status, (await answer.json())["error"]) == (504, "deadline_exceeded")


async def test_a_body_that_comes_slowly_uses_nothing_up() -> None:
    sent_at = 0.0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal sent_at
        yield b"x" * 10
        await asyncio.sleep(0.1)
        sent_at = monotonic()
        yield b"x" * 10

    async with (
        service() as session,
        session.post("/left", headers={HEADER: "20000"}, data=slow()) as answer,
    ):
        before, after = await answer.json()
        assert before == 20.0
        assert 20.0 - (monotonic() - sent_at) <= after <= 20.0


async def test_a_call_to_another_service_gets_what_is_left() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.read()

    token = DEADLINE.set(Deadline(0.05))
    try:
        async with scripted(silent) as peer:
            with pytest.raises(UpstreamTimeout):
                await peer.client.json("POST", "/", b"", {}, 60.0)
        DEADLINE.set(Deadline(0.0))
        async with client_of(1) as peer:  # not even tried
            with pytest.raises(UpstreamTimeout):
                await peer.client.json("POST", "/", b"", {}, 60.0)
            assert peer.results("timeout") == peer.results("transport") == 0
    finally:
        DEADLINE.reset(token)
