"""How a replica leaves: whoever is connected is served, and told; whoever knocks is let in or refused."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import fields

import pytest
from services.kit.http.servers import SERVERS

from services.kit.clock import World
from services.kit.health import Health
from services.kit.log import Log
from services.kit.metrics import HttpMetrics, base_registry
from services.kit.run import listening, server_of
from services.kit.settings import ProcessSettings, load
from services.kit.web import Boundary, Edge
from services.kit.web.routing import health_routes

pytestmark = pytest.mark.unit
SAFE_S, DRAIN_S = 5.0, 0.5
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


class Process:
    """A process of ours without its main: it listens until ``leave``."""

    def __init__(self, drain_s: float, http_server: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        environment = {"PORT": str(self.port), "SHUTDOWN_S": "2", "DRAIN_S": str(drain_s)}
        self._settings = load(ProcessSettings, {**environment, "HTTP_SERVER": http_server})
        self._log = Log("files", "files", "error", "off")
        self._health = Health("files", "hello", {}, World().monotonic)
        http = HttpMetrics(base_registry())
        boundary = Boundary(Edge("files", self._log, http, self._health, World()), health_routes(), {})
        self._server = server_of(boundary.handle, self._settings, http, self._log)
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        await self._stack.enter_async_context(listening(self._server, self._settings, self._log))

    async def leave(self) -> None:
        self._health.draining = True
        await self._stack.aclose()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture(params=sorted(SERVERS))
def http_server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def refused(port: int) -> None:
    async with asyncio.timeout(SAFE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0)


async def test_open_connections_are_served_for_a_while_and_told_to_go(http_server: str) -> None:
    process = Process(DRAIN_S, http_server)
    await process.start()
    reader, writer = await process.connect()
    writer.write(PING)
    assert b"connection: close" not in (await reader.readuntil(b'pong"}')).lower()
    leaving = asyncio.create_task(process.leave())
    await refused(process.port)
    writer.write(PING)
    answer = await asyncio.wait_for(reader.read(), SAFE_S)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer.lower()
    await asyncio.wait_for(leaving, SAFE_S)
    writer.close()


async def test_without_a_drain_idle_connections_are_closed_at_once(http_server: str) -> None:
    process = Process(0.0, http_server)
    await process.start()
    reader, writer = await process.connect()
    writer.write(PING)
    await reader.readuntil(b'pong"}')
    await asyncio.wait_for(process.leave(), SAFE_S)
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_that_was_not_accepted_yet_is_served_not_reset(http_server: str) -> None:
    process = Process(DRAIN_S, http_server)
    await process.start()
    with socket.create_connection(("127.0.0.1", process.port)) as early:  # the loop has had no turn yet
        early.sendall(PING)
        await asyncio.wait_for(process.leave(), SAFE_S)
        early.settimeout(SAFE_S)
        assert early.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_setting_names_the_servers_there_are() -> None:
    (field,) = [field for field in fields(ProcessSettings) if field.name == "http_server"]
    for name in SERVERS:
        assert field.metadata["parser"].read(name) == name
    assert field.metadata["default"] in SERVERS
