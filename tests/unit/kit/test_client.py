"""Framing of answers, and when a connection may serve again: the client, and raw servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf

import pytest

from services.kit.client import Address, Call, Client, Exchange, UpstreamBroken, UpstreamTimeout
from tests.unit.kit.upstream_peer import read_head

pytestmark = pytest.mark.unit
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = Call("GET", "/", {})


class Bed:
    """A client, the heads its server read, and the number of its connections."""

    def __init__(self) -> None:
        self.client: Client
        self.heads: list[bytes] = []
        self.opened = 0

    def count(self) -> None:
        self.opened += 1

    async def get(self, method: str = "GET") -> tuple[int, bytes]:
        answer = await self.client.send(Call(method, "/", {}), timeout_s=30.0)
        return await whole(answer)


async def whole(answer: Exchange) -> tuple[int, bytes]:
    try:
        return answer.status, await answer.read()
    finally:
        answer.close()


@asynccontextmanager
async def serving(
    script: Callable[[Bed, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    limit: int = 8,
    idle_s: float = 60.0,
    refusals_end: bool = False,
) -> AsyncIterator[Bed]:
    """``script`` runs on each connection, which closes at its end."""
    bed = Bed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(bed, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    address = Address.of(url, limit=limit, idle_s=idle_s, opened=bed.count, refusals_end=refusals_end)
    bed.client = Client(address)
    try:
        yield bed
    finally:
        await bed.client.close()
        server.close()


def answering(
    *answers: bytes,
) -> Callable[[Bed, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Each connection gives these answers, one per request, and stays open after the last."""

    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            bed.heads.append(await read_head(reader))
            writer.write(answer)
        await reader.read()

    return script


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", (200, b"")),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", (304, b"")),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"")),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, (200, b"ok")),
        (
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
            (200, b"abc"),
        ),
    ],
)
async def test_framings_after_which_the_connection_serves_again(
    method: str, answer: bytes, expected: tuple[int, bytes]
) -> None:
    async with serving(answering(answer, OK)) as bed:
        assert await bed.get(method) == expected
        assert await bed.get() == (200, b"ok")
        assert bed.opened == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + OK,
    ],
)
async def test_connections_that_do_not_serve_again(answer: bytes) -> None:
    async with serving(answering(answer, OK)) as bed:
        assert await bed.get() == (200, b"ok")
        assert await bed.get() == (200, b"ok")
        assert bed.opened == 2


async def test_a_body_without_length_ends_with_the_connection() -> None:
    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome ")
        await writer.drain()
        writer.write(b"more")

    async with serving(script) as bed:
        assert await bed.get() == (200, b"some more")


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_an_idle_connection_that_ends_or_speaks_is_left(before: bytes) -> None:
    spoken = asyncio.Event()

    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bed.heads.append(await read_head(reader))
        writer.write(OK)
        await writer.drain()
        if len(bed.heads) == 1:
            writer.write(before)
            writer.close()
            await writer.wait_closed()
            spoken.set()
        else:
            await reader.read()

    async with serving(script) as bed:
        assert await bed.get() == (200, b"ok")
        await asyncio.wait_for(spoken.wait(), 30)
        for _ in range(3):
            await asyncio.sleep(0)  # until the client's loop has seen it
        assert await bed.get() == (200, b"ok")
        assert bed.opened == 2


async def test_waiting_for_a_connection_counts_against_the_deadline() -> None:
    held = asyncio.Event()

    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            await held.wait()
            writer.write(OK)

    async with serving(script, limit=1) as bed:
        first = asyncio.create_task(bed.get())
        await asyncio.sleep(0)
        cancelled = asyncio.create_task(bed.get())
        with pytest.raises(UpstreamTimeout):
            await bed.client.send(GET, timeout_s=0.05)
        patient = asyncio.create_task(bed.get())
        await asyncio.sleep(0)
        cancelled.cancel()
        held.set()
        assert await first == await patient == (200, b"ok")
        assert bed.opened == 1


async def test_a_fresh_request_takes_the_place_of_an_idle_connection() -> None:
    async with serving(answering(OK), limit=1) as bed:
        assert await bed.get() == (200, b"ok")
        answer = await bed.client.send(GET, timeout_s=30.0, fresh=True)
        assert await whole(answer) == (200, b"ok")
        assert bed.opened == 2


async def test_a_refusal_may_end_the_connection_of_a_request_with_a_body() -> None:
    refusal = b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\nno"

    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        assert await reader.readexactly(4 if head.startswith(b"PUT") else 0) in {b"body", b""}
        writer.write(refusal)
        await reader.read()

    async with serving(script, refusals_end=True) as bed:
        put = await bed.client.send(Call("PUT", "/", {}), b"body", timeout_s=30.0)
        assert await whole(put) == (412, b"no")
        assert await bed.get() == (412, b"no")
        assert bed.opened == 2


async def test_a_pause_inside_an_answer_is_bounded() -> None:
    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await reader.read()

    async with serving(script) as bed:
        answer = await bed.client.send(GET, timeout_s=30.0, piece_s=0.05)
        assert await answer.read_some() == b"half"
        with pytest.raises(UpstreamTimeout):
            await answer.read_some()
        answer.close()


async def test_a_slow_reader_holds_the_other_side_back() -> None:
    sent = 0
    full = asyncio.Event()

    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        while sent < 67_108_864:
            writer.write(b"x" * 65_536)
            sent += 65_536
            if writer.transport.get_write_buffer_size() > 65_536:
                full.set()
            await writer.drain()

    async with serving(script) as bed:
        answer = await bed.client.send(GET, timeout_s=30.0, piece_s=inf)
        await asyncio.wait_for(full.wait(), 30)
        for _ in range(50):
            await asyncio.sleep(0)
        assert sent < 33_554_432  # what the kernel's buffers hold, not the whole
        received = 0
        while piece := await answer.read_some():
            received += len(piece)
        assert received == sent == 67_108_864
        answer.close()


async def test_trailers_are_not_headers() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-User-ID: evil\r\n\r\n"
    async with serving(answering(chunked)) as bed:
        answer = await bed.client.send(GET, timeout_s=30.0)
        assert await answer.read() == b""
        assert "X-User-ID" not in answer.headers


async def test_several_header_lines_of_one_name_stay_several() -> None:
    both = b"HTTP/1.1 200 OK\r\nVary: Origin\r\nVary: Accept\r\nX-N: \xc3\xa4\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(both)) as bed:
        answer = await bed.client.send(GET, timeout_s=30.0)
        assert answer.headers.getall("vary") == ["Origin", "Accept"]
        assert answer.headers["X-N"] == "ä"
        answer.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_answers_that_are_broken(answer: bytes) -> None:
    async with serving(answering(answer)) as bed:
        with pytest.raises(UpstreamBroken):
            await bed.get("POST")
