"""How a replica leaves: whoever is connected is served, and told; whoever knocks is let in or refused."""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest

from services.kit.clock import World
from services.kit.health import Health
from services.kit.log import Log
from services.kit.metrics import HttpMetrics, LoopMetrics, base_registry
from services.kit.run import Process, listening
from services.kit.settings import ProcessSettings
from services.kit.tokens import CredentialChecker
from services.kit.web.app import application
from services.kit.web.body import Pace
from services.kit.web.routing import health_routes
from tests.environment import load

pytestmark = pytest.mark.unit
SAFE_S, DRAIN_S = 30.0, 0.5
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


class Metrics:
    def __init__(self) -> None:
        self.registry = base_registry()
        self.http, self.loop = HttpMetrics(self.registry), LoopMetrics(self.registry)


class Replica:
    """A process of ours without its main: it listens until ``leave``."""

    def __init__(self, drain_s: float) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        environment = {"PORT": str(self.port), "SHUTDOWN_S": "2", "DRAIN_S": str(drain_s)}
        self._settings = load(ProcessSettings, environment)
        self._process = Process(
            "files", self._settings, Metrics(), World(), Log("files", "files", "error", "off")
        )
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        boundary = self._process.boundary()
        app = application(
            health_routes(),
            {},
            boundary=boundary,
            credentials=CredentialChecker("files", {}, World().now),
            health=Health("files", "hello", {}, World().monotonic, draining=lambda: boundary.draining),
            pace=Pace(1.0, 0, 60.0),
        )
        served = self._process.serving(app, boundary)
        await self._stack.enter_async_context(listening(served, self._settings))

    async def leave(self) -> None:
        await self._stack.aclose()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


async def refused(port: int) -> None:
    async with asyncio.timeout(SAFE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0)


def test_the_soft_limit_of_open_files_is_raised() -> None:
    program = (
        "import resource\n"
        "from services.kit.run import raise_open_files\n"
        "raise_open_files()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )

    def limits(soft: int, hard: int) -> list[int]:
        def lowered() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        said = subprocess.run(
            [sys.executable, "-c", program], preexec_fn=lowered, capture_output=True, text=True, check=True
        )
        return [int(word) for word in said.stdout.split()]

    assert limits(256, 2048) == [2048, 2048]
    assert limits(2048, 2048) == [2048, 2048]


async def test_open_connections_are_served_for_a_while_and_told_to_go() -> None:
    process = Replica(DRAIN_S)
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


async def test_without_a_drain_idle_connections_are_closed_at_once() -> None:
    process = Replica(0.0)
    await process.start()
    reader, writer = await process.connect()
    writer.write(PING)
    await reader.readuntil(b'pong"}')
    await asyncio.wait_for(process.leave(), SAFE_S)
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_that_was_not_accepted_yet_is_served_not_reset() -> None:
    process = Replica(DRAIN_S)
    await process.start()
    with socket.create_connection(("127.0.0.1", process.port)) as early:  # the loop has had no turn yet
        early.sendall(PING)
        await asyncio.wait_for(process.leave(), SAFE_S)
        early.settimeout(SAFE_S)
        assert early.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
