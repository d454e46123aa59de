"""Both servers alone: draining, hostile heads, time limits, connections that are used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from services.kit.http.message import MalformedBody, Request, Response
from services.kit.http.server import Server
from services.kit.http.servers import SERVERS
from services.kit.http.writing import Limits

pytestmark = pytest.mark.unit
SAFE_S = 5.0
SOON_S = 0.05
MIB = 1024 * 1024
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=sorted(SERVERS), autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test here is one of both servers."""
    name: str = request.param
    monkeypatch.setattr(Served, "kind", SERVERS[name])
    return name


class Served:
    """A server whose handler counts the bytes of a body, and what it refused to parse."""

    kind: type[Server] = Server

    def __init__(self, limits: Limits) -> None:
        self.arrived = asyncio.Event()
        self.refused: list[int] = []
        self.failed: list[type[Exception]] = []
        self.server = self.kind(self.handle, self.refused.append, limits)
        self.port = 0

    async def handle(self, request: Request) -> None:
        self.arrived.set()
        count = 0
        try:
            while piece := await request.content.readany():
                count += len(piece)
        except (MalformedBody, ConnectionError) as error:
            self.failed.append(type(error))
            raise ConnectionResetError from error
        if request.target == "/large":
            await request.respond(Response(200, body=b"x" * 64 * MIB))
        else:
            await request.respond(Response(200, {"Content-Type": "text/plain"}, str(count).encode()))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[Served]:
    server = Served(limits or Limits())
    server.port = await server.server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.server.stop(SOON_S)


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
        writer.write(POST + b"Content-Length: 10\r\n\r\n12345")
        await asyncio.wait_for(server.arrived.wait(), SAFE_S)
        draining = asyncio.create_task(server.server.stop(SAFE_S))
        assert await rest(*idle) == b""
        writer.write(b"67890")
        received = await rest(reader, writer)
        await asyncio.wait_for(draining, SAFE_S)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in received
    assert received.endswith(b"\r\n\r\n10")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        (POST + b"X: \xff\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (POST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 501),
        (POST + b"X: " + b"a" * 9_000 + b"\r\n\r\n", 431),
        (POST + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (POST + b"X: " + b"a" * 70_000, 431),
    ],
)
async def test_hostile_heads_get_a_bare_answer_and_reach_no_handler(head: bytes, status: int) -> None:
    async with served() as server:
        reader, writer = await server.connect()
        writer.write(head)
        received = await rest(reader, writer)
        assert not server.arrived.is_set()
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert received.endswith(b"\r\n\r\n")
    assert server.refused == [status]


@pytest.mark.parametrize("cut", range(1, 60))
async def test_requests_may_arrive_in_any_pieces(cut: int) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    counted = POST + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc"
    sent = GET + chunked + counted
    async with served() as server:
        reader, writer = await server.connect()
        for start in range(0, len(sent), cut):
            writer.write(sent[start : start + cut])
            await writer.drain()
        received = await rest(reader, writer)
    assert [answer.rpartition(b"\r\n")[2] for answer in received.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"0",
        b"5",
        b"3",
    ]


async def test_a_chunked_body_that_breaks_ends_its_request(kind: str) -> None:
    async with served() as server:
        reader, writer = await server.connect()
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if kind == "aiohttp":  # in one piece, its parser forgets the request: 400, and no handler runs
            await asyncio.wait_for(server.arrived.wait(), SAFE_S)
        writer.write(b"xyz\r\n")
        with suppress(ConnectionResetError):
            assert await rest(reader, writer) == b""
        assert server.failed == [MalformedBody]


async def test_a_body_cut_short_is_an_error_of_the_client() -> None:
    async with served() as server:
        _, writer = await server.connect()
        writer.write(POST + b"Content-Length: 10\r\n\r\n12345")
        await asyncio.wait_for(server.arrived.wait(), SAFE_S)
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(SAFE_S):
            while not server.failed:
                await asyncio.sleep(0)
        assert server.failed == [ConnectionResetError]


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET])
async def test_silent_connections_are_closed(sent: bytes) -> None:
    async with served(Limits(head_s=SOON_S, idle_s=SOON_S)) as server:
        reader, writer = await server.connect()
        writer.write(sent)
        try:
            received = await rest(reader, writer)
        except ConnectionResetError:
            received = b""
    assert received.count(b"HTTP/1.1") == (sent == GET)


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    async with served(Limits(body_idle_s=SOON_S)) as server:
        reader, writer = await server.connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(server.arrived.wait(), SAFE_S)
        async with asyncio.timeout(SAFE_S):
            while server.server._connections:
                await asyncio.sleep(0)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(64 * MIB)
        writer.close()


async def test_line_breaks_cannot_be_smuggled_into_an_answer() -> None:
    async def handle(request: Request) -> None:
        with pytest.raises(ValueError, match="line break"):
            await request.respond(Response(200, {"X": "a\r\nSet-Cookie: b"}))
        raise ConnectionResetError

    server = Served.kind(handle, lambda _: None, Limits())
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    with suppress(ConnectionResetError):
        assert await rest(reader, writer) == b""
    await server.stop(SOON_S)


async def test_an_answer_that_began_before_the_drain_ends_its_connection_all_the_same() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> None:
        pieces = [b"first", b"last", b""]

        async def source() -> bytes:
            if len(pieces) == 2:
                begun.set()
                await go_on.wait()
            return pieces.pop(0)

        await request.respond(Response(200, stream=source))

    server = Server(handle, lambda _: None, Limits())
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await asyncio.wait_for(begun.wait(), SAFE_S)
    stopping = asyncio.create_task(server.stop(SAFE_S * 2))
    while not server.leaving:
        await asyncio.sleep(0)
    go_on.set()
    received = await rest(reader, writer)
    await asyncio.wait_for(stopping, SAFE_S)
    assert received.endswith(b"4\r\nlast\r\n0\r\n\r\n")


async def test_a_client_that_leaves_while_the_next_piece_is_made_is_gone_and_nothing_else() -> None:
    begun, left, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    failures: list[BaseException] = []

    async def handle(request: Request) -> None:
        async def source() -> bytes:
            if request.sent_bytes:
                begun.set()
                await left.wait()
            return b"piece"

        try:
            await request.respond(Response(200, {"Content-Length": "10"}, stream=source))
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            ended.set()

    server = Server(handle, lambda _: None, Limits())
    port = await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await asyncio.wait_for(begun.wait(), SAFE_S)
    writer.transport.abort()
    async with asyncio.timeout(SAFE_S):
        while server._connections:
            await asyncio.sleep(0)
    left.set()
    await asyncio.wait_for(ended.wait(), SAFE_S)
    assert [type(error) for error in failures] == [ConnectionResetError]
    await server.stop(SOON_S)
