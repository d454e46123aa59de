"""A store that misbehaves on the wire: every way is an ``UnavailableError``, in bounded time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.kit.s3 import S3Address, S3Client, StreamedPut, UnavailableError
from services.kit.s3 import core as core_module
from services.kit.s3 import transport as transport_module
from services.kit.s3.retry import Retry
from services.kit.s3.signing import Signer
from services.kit.s3.transport import Connections, Transport

pytestmark = pytest.mark.unit
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def store_that(serve: Serve) -> AsyncIterator[S3Client]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async def at_once(_: float) -> None:
        return

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    signer = Signer(S3Address(url, url, "bucket", "access", "secret"), lambda: 1_772_000_000.0)
    connections = Connections.to(url, lambda: None)
    async with server:
        try:
            yield S3Client(signer, Transport(connections, lambda *_: None), Retry(random.Random(1), at_once))
        finally:
            await connections.close()


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_a_store_that_hangs_up_inside_the_body() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await reader.readexactly(65_536)
        writer.transport.abort()

    async with store_that(serve) as store:
        exchange = await store.open_put("key", 10_000_000)
        for _ in range(100):
            await exchange.write(b"x" * 65_536)
            await exchange.drained()
        assert exchange.answered
        with pytest.raises(UnavailableError):
            await exchange.finish()


async def test_a_store_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "STALL_S", 0.05)

    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await head(reader)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()

    async with store_that(serve) as store:
        exchange = await store.open_put("key", 100_000_000)
        for _ in range(1_000):
            await exchange.write(b"x" * 65_536)
            await exchange.drained()
            if exchange.answered:
                break
        with pytest.raises(UnavailableError):
            await exchange.finish()
        done.set()


@pytest.mark.parametrize("reading", [False, True])
async def test_slow_bodies_take_no_connection_of_what_we_pace_ourselves(
    reading: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "BODY_CONNECTIONS", 2)
    monkeypatch.setattr(transport_module, "POOL_WAIT_S", 0.05)
    monkeypatch.setattr(transport_module, "READ_S", 5.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await head(reader)
        if request.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        elif request.startswith(b"HEAD"):
            writer.write(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 5\r\nConnection: close\r\n\r\n')
            return
        await reader.read()

    async with store_that(serve) as store:
        slow = [await (store.open_get("key") if reading else store.open_put("key", 1_000)) for _ in range(2)]
        with pytest.raises(UnavailableError):
            await store.open_put("key", 1_000)
        assert (await store.head("key")).size_bytes == 5
        async with store.get("key") as ours:
            assert await ours.read() == b"some"
        for one in slow:
            if isinstance(one, StreamedPut):
                await one.abort()
            else:
                one.close()
        await (await store.open_put("key", 1_000)).abort()


async def test_a_200_before_the_end_is_no_success() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "early"\r\nContent-Length: 0\r\n\r\n')
        await writer.drain()
        await reader.read()

    async with store_that(serve) as store:
        exchange = await store.open_put("key", 1_000_000)
        while not exchange.answered:
            await exchange.write(b"x")
            await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await exchange.finish()


async def test_cancelling_the_caller_breaks_the_body_off() -> None:
    received, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await head(reader)
        assert await reader.readexactly(5) == b"12345"
        received.set()
        assert await reader.read() == b""
        left.set()

    async with store_that(serve) as store:
        exchange = await store.open_put("key", 5)
        await exchange.write(b"12345")
        waiting = asyncio.create_task(exchange.finish())
        await received.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert exchange.answered
        await asyncio.wait_for(left.wait(), 30)


async def test_a_held_body_is_sent_again_after_503() -> None:
    heads = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                heads.append(await head(reader))
            except asyncio.IncompleteReadError:
                return
            assert await reader.readexactly(100_000) == b"b" * 100_000
            answer = (
                b"503 No\r\nContent-Length: 0"
                if len(heads) < 3
                else b'200 OK\r\nETag: "e"\r\nContent-Length: 0'
            )
            writer.write(b"HTTP/1.1 " + answer + b"\r\n\r\n")

    async with store_that(serve) as store:
        assert (await store.put_bytes("key", b"b" * 100_000)).etag == '"e"'
    assert len(heads) == 3


async def test_a_download_cut_short_raises() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await writer.drain()

    async with store_that(serve) as store, store.get("key") as download:
        with pytest.raises(UnavailableError):
            assert [piece async for piece in download.pieces()] == []
