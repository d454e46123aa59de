"""The client of another service, against servers in this process that misbehave on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from services.kit.metrics import UpstreamMetrics
from services.kit.upstream import (
    Body,
    BodyStalled,
    Upstream,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)

pytestmark = pytest.mark.unit
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """An upstream client and the metrics that it writes."""

    def __init__(self, client: Upstream, registry: CollectorRegistry) -> None:
        self.client = client
        self._registry = registry

    def count(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, {"upstream": "files", **labels}) or 0.0

    def results(self, result: str) -> float:
        return self.count("upstream_request_seconds_count", result=result)

    @property
    def opened(self) -> float:
        return self.count("upstream_connections_opened_total")

    @property
    def retries(self) -> float:
        return self.count("upstream_retries_total")


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Peer]:
    registry = CollectorRegistry()
    async with Upstream("files", f"http://127.0.0.1:{port}", UpstreamMetrics(registry)) as client:
        yield Peer(client, registry)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Peer]:
    """A raw server that runs ``script`` on each connection and then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with client_of(server.sockets[0].getsockname()[1]) as peer:
            yield peer
    finally:
        server.close()


@asynccontextmanager
async def application(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Peer]:
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with client_of(runner.addresses[0][1]) as peer:
            yield peer
    finally:
        await runner.cleanup()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def source(*pieces: bytes) -> Body:
    rest = list(pieces)

    async def read() -> bytes:
        return rest.pop(0) if rest else b""

    return Body(read, sum(len(piece) for piece in pieces))


async def test_a_call_returns_status_headers_and_body_and_sends_nothing_by_itself() -> None:
    seen: list[tuple[str, list[str], bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.raw_path, sorted(request.headers), await request.read()))
        return web.json_response({"created": True}, status=201, headers={"X-Mark": "1"})

    async with application(handler) as peer:
        reply = await peer.client.json("POST", "/a%2Fb/../c?q=%41", b"{}", {"X-Given": "1"}, 2.0)
    assert (reply.status, reply.body, reply.headers["X-Mark"]) == (201, b'{"created": true}', "1")
    assert seen == [("/a%2Fb/../c?q=%41", ["Content-Length", "Host", "X-Given"], b"{}")]
    assert peer.results("ok") == 1
    assert peer.client.running == 0


async def test_a_thousand_calls_open_one_connection() -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"x")

    async with application(handler) as peer:
        for index in range(500):
            await peer.client.json("GET", f"/{index}", b"", {}, 2.0)
            incoming = await peer.client.open("POST", "/", CIMultiDict(), source(b"a" * 70_000), timeout_s=2)
            assert await incoming.read() == b"x"
            incoming.close()
        assert peer.opened == 1
    assert peer.results("ok") == 1_000


async def test_a_refused_connection_is_unreachable_and_not_tried_again() -> None:
    async with client_of(1) as peer:
        with pytest.raises(UpstreamUnreachable):
            await peer.client.json("GET", "/", b"", {}, 2.0)
    assert (peer.opened, peer.retries, peer.results("transport")) == (0, 0, 1)


@pytest.mark.parametrize(
    ("method", "requests"), [("GET", 2), ("HEAD", 2), ("POST", 1), ("PUT", 1), ("DELETE", 1)]
)
async def test_only_get_and_head_are_sent_again_and_once(method: str, requests: int) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))

    async with scripted(script) as peer:
        with pytest.raises(UpstreamBroken):
            await peer.client.json(method, "/", b"", {}, 2.0)
    assert (len(heads), peer.retries, peer.opened) == (requests, requests - 1, requests)


async def test_the_second_try_may_succeed_on_a_new_connection() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_head(reader)
        if connections > 1:
            writer.write(OK)
            await writer.drain()

    async with scripted(script) as peer:
        assert (await peer.client.json("GET", "/", b"", {}, 2.0)).body == b"ok"
    assert (connections, peer.retries) == (2, 1)


async def test_repetitions_stay_below_a_tenth_of_the_requests() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)

    async with scripted(script) as peer:
        for _ in range(30):
            with pytest.raises(UpstreamBroken):
                await peer.client.json("GET", "/", b"", {}, 2.0)
        assert 1 <= peer.retries <= 4


async def test_silence_is_a_timeout_and_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        assert await reader.read() == b""
        closed.set()

    async with scripted(script) as peer:
        with pytest.raises(UpstreamTimeout):
            await peer.client.json("GET", "/", b"", {}, 0.05)
        await asyncio.wait_for(closed.wait(), 2)
    assert (peer.results("timeout"), peer.client.running, peer.retries) == (1, 0, 0)


async def test_the_deadline_of_a_call_covers_its_body() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await reader.read()

    async with scripted(script) as peer:
        with pytest.raises(UpstreamTimeout):
            await peer.client.json("GET", "/", b"", {}, 0.05)
    assert peer.results("timeout") == 1


async def test_a_short_answer_is_broken() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with scripted(script) as peer:
        incoming = await peer.client.open("GET", "/", CIMultiDict(), timeout_s=2)
        with pytest.raises(UpstreamBroken):
            await incoming.read()
        incoming.close()
    assert (peer.results("transport"), peer.client.running) == (1, 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_ambiguous_answer_is_broken(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)
        await writer.drain()

    async with scripted(script) as peer:
        with pytest.raises(UpstreamBroken):
            await peer.client.json("POST", "/", b"", {}, 2.0)


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
        incoming = await peer.client.open("POST", "/", CIMultiDict(), Body(read, 1_000_000_000), timeout_s=2)
        assert incoming.status == 413
        assert await incoming.read() == b"no"
        incoming.close()
        await asyncio.wait_for(ended.wait(), 2)
        stopped_at = given
        await asyncio.sleep(0)
        assert given == stopped_at < 1_000
    assert (peer.results("client_fault"), peer.client.running) == (1, 0)


async def test_the_deadline_of_a_streamed_body_starts_at_its_end() -> None:
    async def slow() -> bytes:
        await asyncio.sleep(0.03)
        return b"x"

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with application(handler) as peer:
        incoming = await peer.client.open("POST", "/", CIMultiDict(), Body(slow, 5), timeout_s=0.1)
        assert await incoming.read() == b"xxxxx"
        incoming.close()


async def test_a_source_that_gives_nothing_is_not_the_upstreams_fault() -> None:
    async def never() -> bytes:
        await asyncio.get_running_loop().create_future()
        return b""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with application(handler) as peer:
        with pytest.raises(BodyStalled):
            await peer.client.open("POST", "/", CIMultiDict(), Body(never, 5), timeout_s=1, stall_s=0.05)
    assert (peer.results("timeout"), peer.results("transport"), peer.client.running) == (0, 0, 0)


async def test_an_upstream_that_takes_nothing_is_a_timeout() -> None:
    async def endless() -> bytes:
        return b"x" * 65_536

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await held.wait()

    held = asyncio.Event()
    async with scripted(script) as peer:
        with pytest.raises(UpstreamTimeout):
            await peer.client.open("POST", "/", CIMultiDict(), Body(endless, 10**9), timeout_s=1, stall_s=0.1)
        held.set()
    assert peer.results("timeout") == 1


async def test_what_the_source_raises_comes_back() -> None:
    async def failing() -> bytes:
        raise ConnectionResetError("the client left")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with application(handler) as peer:
        with pytest.raises(ConnectionResetError, match="the client left"):
            await peer.client.open("POST", "/", CIMultiDict(), Body(failing, 5), timeout_s=1)
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
        await asyncio.wait_for(arrived.wait(), 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 2)
    assert peer.client.running == 0
