"""Bounded memory, and the way a gateway ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.unit.gateway.support import MIB, Front, behind, chunk_head, fronting, scripted, serving
from tests.unit.gateway.wire import SAFE_S, Held, read_head, request_bytes, until, within

pytestmark = pytest.mark.contract


async def test_a_slow_service_slows_the_client() -> None:
    """Back-pressure: what the service does not take stays with the client, not here."""
    held = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await held.wait()

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(chunk_head(500 * MIB))
        taken = 0
        try:
            async with asyncio.timeout(1.0):
                while True:
                    wire.send(b"x" * 65_536)
                    await wire.writer.drain()
                    taken += 65_536
        except TimeoutError:
            pass
        held.set()
        wire.leave()
    assert taken < 60 * MIB  # what two pairs of kernel buffers hold


@asynccontextmanager
async def slow_service(held: asyncio.Event) -> AsyncIterator[Front]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        received = 0
        while piece := await request.content.readany():
            received += len(piece)
        await held.wait()
        return web.json_response({"received": received})

    async with serving(handle) as port, fronting(port, SHUTDOWN_S="5") as front:
        yield front


async def test_draining_lets_running_uploads_finish_and_takes_no_more() -> None:
    held = asyncio.Event()
    async with slow_service(held) as front:
        idle, wire = await front.connect(), await front.connect()
        idle.send(request_bytes("GET /live"))
        await idle.answer()
        wire.send(chunk_head(3 * MIB) + b"x" * MIB)
        await until(lambda: front.sample("http_in_flight_requests") == 1)
        front.boundary.draining = True
        ready = await front.request("GET", "/ready")
        assert (ready.status, ready.error) == (503, "not_ready")
        stopping = asyncio.create_task(front.stop())
        assert await idle.rest() == b""
        wire.send(b"x" * 2 * MIB)
        held.set()
        status, body = await wire.answer()
        assert (status, body) == (200, b'{"received": %d}' % (3 * MIB))
        assert await wire.rest() == b""
        await asyncio.wait_for(stopping, SAFE_S)
        with pytest.raises(OSError):
            await front.connect()


async def test_draining_does_not_wait_for_ever() -> None:
    held = Held()
    async with scripted(held.script) as port, fronting(port, SHUTDOWN_S="0.2") as front:
        wire = await front.connect()
        wire.send(request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}"))
        await within(held.arrived)
        await asyncio.wait_for(front.stop(), SAFE_S)
        await within(held.left)
        assert await wire.rest() == b""
