"""Streamed bodies to another service: early answers, limits of time, and who is at fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from multidict import CIMultiDict

from services.kit.client import UpstreamTimeout
from services.kit.upstream import Body
from tests.unit.kit.upstream_peer import Pieces, application, read_head, scripted

pytestmark = pytest.mark.unit


class Made(Pieces):
    """A body whose pieces a test makes."""

    def __init__(self, make: Callable[[], Awaitable[bytes]]) -> None:
        super().__init__()
        self._make = make

    async def read(self) -> bytes:
        return await self._make()


class Silent(Pieces):
    """A body of which nothing comes; a wait for it ends when it is not needed any more."""

    def __init__(self) -> None:
        super().__init__()
        self._needed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.closed = False

    async def read(self) -> bytes:
        return await self._needed

    def interrupt(self) -> None:
        if not self._needed.done():
            self._needed.set_result(b"")

    def close(self) -> None:
        self.closed = True


async def test_an_early_answer_stops_the_body_and_drops_the_connection() -> None:
    ended = asyncio.Event()
    given = 0

    async def read() -> bytes:
        nonlocal given
        given += 1
        await asyncio.sleep(0)
        return b"x" * 65_536

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(100_000)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        while await reader.read(65_536):
            pass
        ended.set()

    async with scripted(script) as peer:
        incoming = await peer.client.open(
            "POST", "/", CIMultiDict(), Body(Made(read), 1_000_000_000), timeout_s=30
        )
        assert incoming.status == 413
        assert await incoming.read() == b"no"
        incoming.close()
        await asyncio.wait_for(ended.wait(), 30)
        stopped_at = given
        await asyncio.sleep(0)
        assert given == stopped_at < 1_000
    assert (peer.results("client_fault"), peer.client.running) == (1, 0)


async def test_the_deadline_of_a_streamed_body_starts_at_its_end() -> None:
    async def slow() -> bytes:
        await asyncio.sleep(0.2)
        return b"x"

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with application(handler) as peer:
        incoming = await peer.client.open("POST", "/", CIMultiDict(), Body(Made(slow), 5), timeout_s=0.8)
        assert await incoming.read() == b"xxxxx"
        incoming.close()


async def test_an_answer_does_not_wait_for_a_source_that_gives_nothing() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with scripted(script) as peer:
        silent = Silent()
        incoming = await peer.client.open("POST", "/", CIMultiDict(), Body(silent, 5), timeout_s=30)
        assert (incoming.status, await incoming.read()) == (413, b"no")
        incoming.close()
    assert silent.closed


async def test_an_upstream_that_takes_nothing_is_a_timeout() -> None:
    async def endless() -> bytes:
        return b"x" * 65_536

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await held.wait()

    held = asyncio.Event()
    async with scripted(script) as peer:
        with pytest.raises(UpstreamTimeout):
            await peer.client.open(
                "POST", "/", CIMultiDict(), Body(Made(endless), 10**9), timeout_s=30, stall_s=0.1
            )
        held.set()
    assert peer.results("timeout") == 1


async def test_what_the_source_raises_comes_back() -> None:
    async def failing() -> bytes:
        raise ConnectionResetError("the client left")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with application(handler) as peer:
        with pytest.raises(ConnectionResetError, match="the client left"):
            await peer.client.open("POST", "/", CIMultiDict(), Body(Made(failing), 5), timeout_s=30)
    assert peer.results("transport") == 0


async def test_a_cancelled_caller_closes_the_connection() -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        arrived.set()
        assert await reader.read() == b""
        closed.set()

    async with scripted(script) as peer:
        task = asyncio.create_task(peer.client.json("GET", "/", b"", {}, 30.0))
        await asyncio.wait_for(arrived.wait(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 30)
    assert peer.client.running == 0
