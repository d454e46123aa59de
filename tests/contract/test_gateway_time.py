"""Sides that are slow, and the time that each of them has."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from tests.unit.gateway.support import DOWNLOAD, MIB, behind, chunk_head, fronting, recorded, serving
from tests.unit.gateway.wire import Held, Wire, read_head, request_bytes, statuses, until, within

pytestmark = pytest.mark.contract


async def test_a_service_that_does_not_answer_in_time_is_504() -> None:
    held = Held()
    async with behind(held.script) as front:
        entry, _ = front.boundary.pipeline.table.match("POST", "/auth/login")
        object.__setattr__(entry.route, "deadline_s", 0.05)
        try:
            received = await front.request("POST", "/auth/login", None, b"{}")
        finally:
            object.__setattr__(entry.route, "deadline_s", 30.0)
        await within(held.left)
        assert front.sample("upstream_request_seconds_count", upstream="auth", result="timeout") == 1
    assert (received.status, received.error, received.value("Retry-After")) == (504, "deadline_exceeded", "2")


async def test_a_slow_head_is_cut_off() -> None:
    async with recorded(HEAD_TIMEOUT_S="0.2") as (front, _):
        idle = await front.connect()
        wire = await front.connect()
        started = asyncio.get_running_loop().time()
        wire.send(b"GET /live HTTP/1.1\r\n")
        dripping = asyncio.create_task(_drip(wire))
        assert await wire.rest() == b""
        elapsed_s = asyncio.get_running_loop().time() - started
        assert not dripping.done()
        dripping.cancel()
        idle.send(request_bytes("GET /live", "Connection: close"))
        assert statuses(await idle.rest()) == [200]
    assert elapsed_s > 0.15


async def _drip(wire: Wire) -> None:
    for index in range(1_000):
        wire.send(b"X-%d: y\r\n" % index)
        await asyncio.sleep(0.02)


async def test_a_second_slow_head_on_a_connection_is_cut_off_too() -> None:
    async with recorded(HEAD_TIMEOUT_S="0.2") as (front, _):
        wire = await front.connect()
        wire.send(request_bytes("GET /live"))
        assert (await wire.answer())[0] == 200
        wire.send(b"GET /live HTTP/1.1\r\n")
        assert await wire.rest() == b""


@pytest.mark.parametrize(
    "head",
    [chunk_head(3 * MIB), request_bytes("POST /auth/login", "Content-Length: 100")],
    ids=["raw", "json"],
)
async def test_a_body_without_progress_is_408_and_the_connection_ends(head: bytes) -> None:
    async with recorded(BODY_IDLE_S="0.2") as (front, _):
        received = await front.raw(head + b"x" * 10)
        assert front.counted(408) == 1
    assert statuses(received) == [408]
    assert b'"error":"request_timeout"' in received


async def test_a_slow_body_that_moves_is_served() -> None:
    async with recorded(BODY_IDLE_S="0.3") as (front, service):
        wire = await front.connect()
        wire.send(chunk_head(100_000))
        for _index in range(10):
            wire.send(b"x" * 10_000)
            await asyncio.sleep(0.06)
        assert (await wire.answer())[0] == 200
        wire.leave()
    assert len(service.seen[0].body) == 100_000


@pytest.mark.parametrize(
    "head",
    [chunk_head(3 * MIB), request_bytes("POST /auth/login", "Content-Length: 10000")],
    ids=["raw", "json"],
)
async def test_a_body_that_drips_is_408(head: bytes) -> None:
    """Each piece comes in time, but all of them would take days."""
    limits = {"BODY_IDLE_S": "0.3", "BODY_RATE_WINDOW_S": "0.4", "BODY_MIN_BYTES_PER_S": "1000"}
    async with recorded(None, **limits) as (front, _):
        wire = await front.connect()
        wire.send(head)
        while not front.counted(408):
            wire.send(b"x")
            await asyncio.sleep(0.05)
        status, body = await wire.answer()
        wire.leave()
    assert (status, b"request_timeout" in body) == (408, True)


async def test_a_body_just_above_the_least_rate_is_served() -> None:
    async with recorded(BODY_RATE_WINDOW_S="0.1", BODY_MIN_BYTES_PER_S="5000") as (front, service):
        wire = await front.connect()
        wire.send(chunk_head(100_000))
        for _index in range(10):
            wire.send(b"x" * 10_000)
            await asyncio.sleep(0.06)
        assert (await wire.answer())[0] == 200
        wire.leave()
    assert len(service.seen[0].body) == 100_000


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000000"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async with serving(endless) as port, fronting(port, BODY_IDLE_S="0.2") as front:
        wire = await front.connect()
        wire.send(request_bytes(DOWNLOAD))
        await until(lambda: front.counted(499) == 1)
        await until(lambda: front.sample("http_in_flight_requests") == 0)
        wire.leave()


async def test_a_service_that_stops_in_the_middle_is_cut_off() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nsome")
        await reader.read()

    async with behind(script, BODY_IDLE_S="0.2") as front:
        wire = await front.connect()
        wire.send(request_bytes(DOWNLOAD))
        await wire.rest()
        await until(lambda: front.counted(502) == 1)


async def test_many_slow_clients_do_not_slow_the_others() -> None:
    async with recorded() as (front, _):
        slow = [await front.connect() for _index in range(300)]
        for index, wire in enumerate(slow):
            wire.send(b"GET /li" if index % 2 else chunk_head(MIB)[:-2])
        for _index in range(20):
            assert (await front.request("GET", "/live")).status == 200
        for wire in slow:
            wire.leave()
