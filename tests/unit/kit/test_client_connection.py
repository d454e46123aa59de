"""Heads as they are sent, ends that are not certain, and what becomes of connections."""

from __future__ import annotations

import asyncio

import pytest

from services.kit.client import Call, UpstreamBroken, UpstreamError, UpstreamTimeout, connection
from services.kit.client.head import request_head
from tests.unit.kit.test_client import GET, OK, Bed, answering, serving
from tests.unit.kit.upstream_peer import read_head

pytestmark = pytest.mark.unit


def test_a_head_is_the_call_and_nothing_else() -> None:
    head = request_head(Call("POST", "/a%2Fb?c=ä", {"X-One": "1", "X-Two": "\udcff"}), "host:1", 0)
    assert head == (
        b"POST /a%2Fb?c=\xc3\xa4 HTTP/1.1\r\nHost: host:1\r\n"
        b"X-One: 1\r\nX-Two: \xff\r\nContent-Length: 0\r\n\r\n"
    )
    assert b"Content-Length" not in request_head(GET, "host:1", 0)


@pytest.mark.parametrize("bad", ["a\r\nX-User-ID: 1", "a\nb", "a\rb", "a\0b"])
def test_a_value_cannot_end_its_line(bad: str) -> None:
    with pytest.raises(ValueError, match="line ends"):
        request_head(Call("GET", "/", {"X-A": bad}), "host", 0)
    with pytest.raises(ValueError, match="line ends"):
        request_head(Call("GET", "/", {bad: "a"}), "host", 0)
    with pytest.raises(ValueError, match="line ends"):
        request_head(Call("GET", f"/{bad}", {}), "host", 0)


def test_a_target_cannot_hold_a_blank() -> None:
    with pytest.raises(ValueError, match="blanks"):
        request_head(Call("GET", "/a HTTP/1.1", {}), "host", 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_an_answer_whose_end_is_not_certain_is_broken(answer: bytes) -> None:
    async with serving(answering(answer)) as bed:
        with pytest.raises(UpstreamBroken):
            await bed.get("POST")


async def test_one_sweeper_sees_to_long_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PRECISE_BELOW_S", 0.0)
    async with serving(answering()) as bed:
        with pytest.raises(UpstreamTimeout):
            await bed.client.send(GET, timeout_s=0.05)


async def test_an_unused_connection_is_closed() -> None:
    closed = asyncio.Event()

    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK)
        assert await reader.read() == b""
        closed.set()

    async with serving(script, idle_s=0.1) as bed:
        assert await bed.get() == (200, b"ok")
        await asyncio.wait_for(closed.wait(), 30)


async def test_the_connection_that_was_used_last_is_used_next() -> None:
    async def script(bed: Bed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = f"{len(bed.heads)}".encode()
        bed.heads.append(b"")
        while True:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name)

    async with serving(script) as bed:
        both = await asyncio.gather(bed.get(), bed.get())
        assert {body for _, body in both} == {b"0", b"1"}
        served = {(await bed.get())[1] for _ in range(10)}
        assert len(served) == 1
        assert bed.opened == 2


async def test_a_broken_off_body_frees_its_place() -> None:
    async with serving(answering(OK), limit=1) as bed:
        for _ in range(3):
            sending = await bed.client.open(Call("PUT", "/", {}), 10, timeout_s=30.0)
            sending.write(b"12345")
            sending.abort()
            sending.abort()
            sending.write(b"67890")  # nobody gets it
            assert sending.answered
        assert await bed.get() == (200, b"ok")
        assert bed.opened == 4


async def test_closing_breaks_off_what_runs_and_what_waits() -> None:
    async with serving(answering(), limit=1) as bed:
        tasks = [asyncio.create_task(bed.get()) for _ in range(3)]
        while not bed.opened:
            await asyncio.sleep(0)
        await bed.client.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, UpstreamError) for result in results), results
        assert bed.opened == 1
