"""Clients that leave."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.gateway.support import DOWNLOAD, MIB, Front, behind, chunk_head
from tests.unit.gateway.wire import Held, read_head, request_bytes, until, within

pytestmark = pytest.mark.contract


async def gone(front: Front) -> None:
    """The request was counted once as 499, and nothing is left of it."""
    await until(lambda: front.counted(499) == 1)
    assert front.sample("http_in_flight_requests") == 0
    assert [line["status"] for line in front.lines()] == [499]
    pools = front.boundary.pipeline.proxy._pools.values()
    await until(lambda: all(one.running == 0 for pool in pools for one in pool.replicas))


async def test_a_client_that_leaves_while_it_waits_cancels_the_upstream_request() -> None:
    held = Held()
    async with behind(held.script) as front:
        wire = await front.connect()
        wire.send(request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}"))
        await within(held.arrived)
        wire.leave()
        await within(held.left)
        await gone(front)


async def test_a_client_that_half_closes_is_gone_too() -> None:
    held = Held()
    async with behind(held.script) as front:
        wire = await front.connect()
        wire.send(request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}"))
        await within(held.arrived)
        wire.writer.write_eof()
        await within(held.left)
        await gone(front)


async def test_a_client_that_leaves_while_sending_aborts_the_upload() -> None:
    held = Held()
    async with behind(held.script) as front:
        wire = await front.connect()
        wire.send(chunk_head(3 * MIB) + b"x" * MIB)
        await within(held.arrived)
        wire.leave()
        await within(held.left)
        await gone(front)


async def test_a_body_that_ends_early_is_not_completed_upstream() -> None:
    received = bytearray()
    left = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        while piece := await reader.read(65_536):
            received.extend(piece)
        left.set()

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(chunk_head(3 * MIB) + b"x" * MIB)
        wire.writer.write_eof()
        assert await wire.rest() == b""
        await within(left)
        await gone(front)
    assert len(received) <= MIB


async def test_a_client_that_leaves_while_reading_aborts_the_download() -> None:
    left = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            left.set()

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(request_bytes(DOWNLOAD))
        await wire.head()
        wire.leave()
        await within(left)
        await gone(front)
