"""Services that fail, or say what makes no sense."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.gateway.support import DOWNLOAD, MIB, behind, chunk_head, fronting
from tests.unit.gateway.wire import pour, read_head, request_bytes, statuses, until

pytestmark = pytest.mark.contract
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_service_that_is_down_is_502() -> None:
    async with fronting(1) as front:
        received = await front.request("POST", "/auth/login", None, b"{}")
    assert (received.status, received.error) == (502, "upstream_unavailable")


@pytest.mark.parametrize(("method", "tries"), [("GET", 2), ("POST", 1)])
async def test_a_service_that_dies_before_the_head_is_502(method: str, tries: int) -> None:
    count = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await read_head(reader)

    async with behind(script) as front:
        path = "/auth/live" if method == "GET" else "/auth/login"
        received = await front.request(method, path, None, b"{}" if method == "POST" else None)
    assert (received.status, received.error, count) == (502, "upstream_unavailable", tries)


async def test_a_service_that_dies_during_an_upload_is_502() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(100_000)

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(chunk_head(500 * MIB))
        sending = asyncio.create_task(pour(wire, 500 * MIB))
        head = await wire.head()
        await sending
    assert statuses(head) == [502]


@pytest.mark.parametrize("framing", ["Content-Length: 200000", "Transfer-Encoding: chunked"])
async def test_a_service_that_dies_inside_the_body_never_looks_like_a_clean_end(framing: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        body = b"x" * 100_000
        piece = b"%x\r\n%s\r\n" % (len(body), body) if "chunked" in framing else body
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + piece)
        await writer.drain()

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(request_bytes(DOWNLOAD))
        head = await wire.head()
        rest = await wire.rest()
        await until(lambda: front.counted(502) == 1)
    assert statuses(head) == [200]
    assert not rest.endswith(b"0\r\n\r\n")
    assert len(rest) < 150_000


async def test_an_idle_connection_that_the_service_closed_is_not_noticed() -> None:
    ended = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ended
        await read_head(reader)
        await reader.readexactly(2)
        writer.write(OK)
        await writer.drain()
        ended += 1

    async with behind(script) as front:
        for index in range(3):
            assert (await front.request("POST", "/auth/login", None, b"{}")).status == 200
            await until(lambda index=index: ended == index + 1)  # type: ignore[misc]
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"nonsense",
    ],
)
async def test_an_answer_that_makes_no_sense_is_502(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)
        await writer.drain()

    async with behind(script) as front:
        received = await front.request("POST", "/auth/login", None, b"{}")
    assert (received.status, received.error) == (502, "upstream_unavailable")


async def test_interim_answers_are_swallowed_and_an_answer_without_length_ends_at_the_close() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it"
        )
        await writer.drain()

    async with behind(script) as front:
        received = await front.request("POST", "/auth/login", None, b"{}")
    assert (received.status, received.body) == (200, b"all of it")


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_have_none(status: int) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\n".encode())

    async with behind(script) as front:
        wire = await front.connect()
        for _index in range(2):
            wire.send(request_bytes(DOWNLOAD))
            head = await wire.head()
            assert statuses(head) == [status]
            assert b"content-length: 5" not in head.lower() or status == 304
