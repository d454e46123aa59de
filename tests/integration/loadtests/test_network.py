"""A slower network: what is added each way, and that URLs stay good."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from loadtests.harness.testbeds.network import Link, NetworkError, open_network, slowed
from loadtests.harness.testbeds.processes import stat_fields
from loadtests.harness.testbeds.system import ROOT, find_system
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BODY = bytes(50_000)
GONE_WITHIN_S = 30


@asynccontextmanager
async def answering() -> AsyncIterator[str]:
    """A server that answers each line with as much as it was asked for, at once; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(bytes(int(line)))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{host}:{port}"


async def seconds(address: str, size: int) -> float:
    """How long one question takes on a connection that is open already."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"1\n")
    await reader.readexactly(1)
    began = time.monotonic()
    writer.write(f"{size}\n".encode())
    await reader.readexactly(size)
    taken = time.monotonic() - began
    writer.close()
    return taken


async def test_a_round_trip_takes_at_least_so_long_and_a_body_its_bandwidth() -> None:
    async with answering() as upstream, open_network(os.environ) as network:
        far = await network.lay("far", Link(rtt_ms=51), upstream)
        narrow = await network.lay("narrow", Link(bandwidth_mbit=2), upstream)
        assert await seconds(far, 1) >= 0.050
        # 50 kB at 250 kB/s; a first piece may pass before the limit holds.
        assert await seconds(narrow, len(BODY)) >= 0.1


HOLDER = """
import asyncio, os
from loadtests.harness.testbeds.network import open_network

async def main():
    async with open_network(os.environ) as network:
        print(network.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def lives(pid: int) -> bool:
    """Not so a zombie, which whoever inherits it may leave a while."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_it_ends_with_whoever_started_it(number: signal.Signals) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert holder.stdout is not None
    pid = int(await holder.stdout.readline())
    assert lives(pid)
    holder.send_signal(number)
    await holder.wait()
    async with asyncio.timeout(GONE_WITHIN_S):
        while lives(pid):
            await asyncio.sleep(0.05)


async def test_a_way_can_lead_to_another_place() -> None:
    async with answering() as first, answering() as second, open_network(os.environ) as network:
        way = await network.lay("way", Link(rtt_ms=2), first)
        assert await seconds(way, 1) > 0
        await network.lead("way", second)
        assert await seconds(way, 1) > 0
        with pytest.raises(NetworkError, match="already exists"):
            await network.lay("way", Link(rtt_ms=2), first)


async def test_the_testbed_behind_it_is_the_same_one(system: System) -> None:
    environ = {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}
    near = find_system(environ)
    async with slowed(near, Link(rtt_ms=40)) as far:
        assert far.store.public == near.store.public, "URLs are signed for the same address"
        assert replace(far, gateway_url=near.gateway_url, store=near.store) == near
        connector = aiohttp.TCPConnector(resolver=far.resolver())
        async with aiohttp.ClientSession(connector=connector) as http:
            for url in (f"{far.gateway_url}/ready", f"http://{far.public_store}/minio/health/ready"):
                async with http.get(url) as answer:
                    assert answer.status == 200
                began = time.monotonic()
                async with http.get(url) as answer:
                    await answer.read()
                assert time.monotonic() - began >= 0.039


async def test_no_link_changes_nothing(system: System) -> None:
    environ = {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}
    near = find_system(environ)
    async with slowed(near, Link()) as same:
        assert same is near
