"""The hardened server under an application: what the library alone would get wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from services.kit.run import SERVER_OPTIONS
from services.kit.server import AppRunner

pytestmark = pytest.mark.unit
SAFE_S = 5.0


class Served:
    """An application that reads bodies and counts what it refused to parse."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.refused: list[int] = []
        app = web.Application(client_max_size=0)
        app.router.add_post("/", self.handle)
        self.runner = AppRunner(app, malformed=self.refused.append, shutdown_timeout=SAFE_S, **SERVER_OPTIONS)

    async def handle(self, request: web.Request) -> web.Response:
        self.arrived.set()
        count = 0
        while piece := await request.content.readany():
            count += len(piece)
        return web.Response(text=str(count))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.runner.addresses[0])


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    server = Served()
    await server.runner.setup()
    await web.TCPSite(server.runner, "127.0.0.1", 0).start()
    try:
        yield server
    finally:
        await server.runner.cleanup()


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    async with asyncio.timeout(SAFE_S):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return received


async def test_a_body_that_is_under_way_arrives_while_the_server_drains() -> None:
    async with served() as server:
        idle = await server.connect()
        reader, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        await asyncio.wait_for(server.arrived.wait(), SAFE_S)
        draining = asyncio.create_task(server.runner.cleanup())
        assert await rest(*idle) == b""
        writer.write(b"67890")
        received = await rest(reader, writer)
        await asyncio.wait_for(draining, SAFE_S)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\n10")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
    ],
)
async def test_unparsable_http_gets_a_bare_answer_without_a_traceback(
    head: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as server:
        reader, writer = await server.connect()
        writer.write(head)
        received = await rest(reader, writer)
    assert received.startswith(b"HTTP/1.0 %d " % status)
    assert received.endswith(b"\r\n\r\n")
    assert server.refused == [status]
    assert caplog.records == []
