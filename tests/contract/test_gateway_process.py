"""The gateway as a process: start, stop, and what its admin port shows."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession, web

from compose import ports
from tests.unit.gateway.support import KEY, Recorder, environment, serving, token
from tests.unit.gateway.wire import Wire, ended, request_bytes, statuses

pytestmark = pytest.mark.contract
START_S = 60.0
MIB = 1024 * 1024


@dataclass(slots=True)
class Running:
    process: asyncio.subprocess.Process
    port: int
    admin_port: int

    async def connect(self) -> Wire:
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port))

    async def exit_code(self) -> int:
        async with asyncio.timeout(START_S):
            return await self.process.wait()

    async def log(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()


async def launch(port: int, **settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        env={"PATH": os.environ["PATH"], **environment(port), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@asynccontextmanager
async def running(service_port: int, port: int = 0, **more: str) -> AsyncIterator[Running]:
    own, admin_port = ports.free(2)
    port = port or own
    settings = {"PORT": str(port), "ADMIN_PORT": str(admin_port), "BENCH_ENDPOINTS": "1"}
    process = await launch(service_port, **settings, **more)
    try:
        async with asyncio.timeout(START_S):
            while not (await accepts(admin_port) and await accepts(port)):
                await asyncio.sleep(0.02)
        yield Running(process, port, admin_port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    await ended(writer)
    return True


async def test_sigterm_finishes_a_running_upload_and_then_the_process() -> None:
    received = asyncio.Event()
    go_on = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        count = len(await request.content.readany())
        received.set()
        while piece := await request.content.readany():
            count += len(piece)
        await go_on.wait()
        return web.json_response({"count": count})

    async with serving(handle) as service_port, running(service_port) as gateway:
        idle, wire = await gateway.connect(), await gateway.connect()
        line = f"Authorization: Bearer {token()}"
        wire.send(request_bytes("POST /api/upload/proxy/chunk?id=0", line, f"Content-Length: {2 * MIB}"))
        wire.send(b"x" * MIB)
        await asyncio.wait_for(received.wait(), START_S)
        gateway.process.send_signal(signal.SIGTERM)
        assert await idle.rest() == b""
        assert not await accepts(gateway.port)
        wire.send(b"x" * MIB)
        go_on.set()
        head = await wire.head()
        assert statuses(head) == [200]
        assert b"connection: close" in head.lower()
        assert await wire.rest() == b'{"count": %d}' % (2 * MIB)
        assert await gateway.exit_code() == 0
        log = await gateway.log()
    assert '"event":"stopping"' in log
    assert KEY not in log


async def test_metrics_and_settings_are_on_the_admin_port_only() -> None:
    service = Recorder()
    async with (
        serving(service.handle) as service_port,
        running(service_port) as gateway,
        ClientSession() as http,
    ):
        for path, admin_status in (("/metrics", 200), ("/settings", 200), ("/live", 200), ("/ready", 404)):
            async with http.get(f"http://127.0.0.1:{gateway.admin_port}{path}") as answer:
                text = await answer.text()
                assert answer.status == admin_status
                assert KEY not in text
        async with http.get(f"http://127.0.0.1:{gateway.admin_port}/settings") as answer:
            settings = (await answer.json())["settings"]
            assert (settings["RATE_LIMIT"], settings["UPSTREAM_POOL"]) == (True, 512)
        for path in ("/metrics", "/settings"):
            async with http.get(f"http://127.0.0.1:{gateway.port}{path}") as answer:
                assert answer.status == 404


async def test_a_taken_port_and_bad_settings_end_the_process_with_a_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await launch(1, PORT=str(taken.getsockname()[1]), ADMIN_PORT=str(ports.free(1)[0]))
        output, _ = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode == 1
    assert b"cannot start" in output
    process = await launch(1, JWT_SECRET="short", AUTH_URLS="")
    output, _ = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode not in {0, None}
    assert b"JWT_SECRET is ***" in output
    assert b"AUTH_URLS is not set" in output


async def test_a_port_is_shared_by_who_says_so_and_by_nobody_else() -> None:
    (port,), service = ports.free(1), Recorder()

    async def asked(http: ClientSession, admin_port: int) -> float:
        async with http.get(f"http://127.0.0.1:{admin_port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        found = [line for line in lines if line.startswith("http_requests_total") and "/ping" in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    async with serving(service.handle) as service_port, ClientSession() as http, AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(running(service_port, port, REUSE_PORT="1")) for _ in range(2)
        ]
        stranger = await launch(service_port, PORT=str(port), ADMIN_PORT=str(ports.free(1)[0]))
        output, _ = await asyncio.wait_for(stranger.communicate(), START_S)
        assert (stranger.returncode, b"cannot start" in output) == (1, True)
        sent, counts = 0, [0.0]
        async with asyncio.timeout(START_S):
            while min(counts) == 0:  # a connection each time: the kernel chooses by its address
                async with http.get(
                    f"http://127.0.0.1:{port}/ping", headers={"Connection": "close"}
                ) as answer:
                    sent += answer.status == 200
                counts = [await asked(http, gateway.admin_port) for gateway in gateways]
    assert sum(counts) == sent
