"""Calls to another service: what is sent, sent again, and said about a failure."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from multidict import CIMultiDict

from services.kit.client import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tests.unit.kit.upstream_peer import application, client_of, read_head, scripted, source

pytestmark = pytest.mark.unit
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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
            incoming = await peer.client.open("POST", "/", CIMultiDict(), source(b"a" * 70_000), timeout_s=30)
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
        await asyncio.wait_for(closed.wait(), 30)
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
        incoming = await peer.client.open("GET", "/", CIMultiDict(), timeout_s=30)
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
