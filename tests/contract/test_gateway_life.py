"""When one side is early, late, slow or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.unit.gateway.support import (
    SAFE_S,
    Front,
    Wire,
    behind,
    fronting,
    recorded,
    request_bytes,
    scripted,
    serving,
    statuses,
    token,
    until,
)

pytestmark = pytest.mark.contract
MIB = 1024 * 1024
AUTHORIZED = f"Authorization: Bearer {token()}"
CHUNK = "POST /api/upload/proxy/chunk?id=0"
DOWNLOAD = "GET /api/files/f/00000000-0000-4000-8000-000000000001/download"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def chunk_head(length: int, *headers: str) -> bytes:
    return request_bytes(CHUNK, AUTHORIZED, f"Content-Length: {length}", *headers)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


class Held:
    """A service that reads a head, and then does nothing until it is told, or left."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        self.arrived.set()
        while await reader.read(65_536):
            pass
        self.left.set()


async def within(awaitable: asyncio.Event) -> None:
    async with asyncio.timeout(SAFE_S):
        await awaitable.wait()


async def pour(wire: Wire, length: int) -> int:
    """Send up to ``length`` bytes as fast as they are taken; how many were, until the gateway ended it."""
    sent = 0
    try:
        async with asyncio.timeout(SAFE_S):
            while sent < length:
                wire.send(b"x" * 65_536)
                sent += 65_536
                await wire.writer.drain()
    except (ConnectionError, TimeoutError):
        pass
    return sent


# --- early answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 404])
async def test_a_refusal_by_the_gateway_reaches_a_client_that_is_still_sending(status: int) -> None:
    path = "POST /nothing" if status == 404 else CHUNK
    async with recorded() as (front, service):
        wire = await front.connect()
        wire.send(request_bytes(path, f"Content-Length: {500 * MIB}"))
        sending = asyncio.create_task(pour(wire, 500 * MIB))
        head = await wire.head()
        sent = await sending
        await wire.rest()
    assert statuses(head) == [status]
    assert b"connection: close" in head.lower()
    assert sent < 20 * MIB
    assert service.seen == []


@pytest.mark.parametrize("status", [413, 422, 503])
async def test_a_refusal_by_the_service_reaches_a_client_that_is_still_sending(status: int) -> None:
    left = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(MIB)
        body = b'{"error":"checksum_mismatch"}'
        head = (
            f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        while await reader.read(65_536):
            pass
        left.set()

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(chunk_head(500 * MIB))
        sending = asyncio.create_task(pour(wire, 500 * MIB))
        answered, body = await wire.answer()
        sent = await sending
        await within(left)
        assert front.counted(status) == 1
    assert (answered, body) == (status, b'{"error":"checksum_mismatch"}')
    assert sent < 30 * MIB


async def test_a_small_refused_body_does_not_cost_the_connection() -> None:
    async with recorded() as (front, _):
        wire = await front.connect()
        wire.send(request_bytes("POST /api/upload/proxy/session", "Content-Length: 2"))
        assert (await wire.answer())[0] == 401
        wire.send(b"{}" + request_bytes("GET /live"))
        assert (await wire.answer())[0] == 200
        wire.leave()


# --- Expect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [10, 3 * MIB])
async def test_continue_is_sent_after_all_checks(length: int) -> None:
    async with recorded() as (front, service):
        wire = await front.connect()
        wire.send(chunk_head(length, "Expect: 100-continue"))
        assert (await wire.head()) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"x" * length)
        assert (await wire.answer())[0] == 200
        wire.send(request_bytes("GET /live"))
        assert (await wire.answer())[0] == 200
        wire.leave()
    assert len(service.seen[0].body) == length
    assert service.seen[0].values("Expect") == []


@pytest.mark.parametrize(
    "head",
    [
        request_bytes(CHUNK, "Content-Length: 10", "Expect: 100-continue"),
        request_bytes("POST /auth/login", "Content-Length: 70000", "Expect: 100-continue"),
        request_bytes("POST /nothing", "Content-Length: 10", "Expect: 100-continue"),
    ],
)
async def test_a_refused_expectation_gets_no_continue_and_ends_the_connection(head: bytes) -> None:
    async with recorded() as (front, service):
        received = await front.raw(head)
    assert statuses(received) in ([401], [413], [404])
    assert service.seen == []


# --- clients that leave ------------------------------------------------------------------------------


async def gone(front: Front) -> None:
    """The request was counted once as 499, and nothing is left of it."""
    await until(lambda: front.counted(499) == 1)
    assert front.sample("http_in_flight_requests") == 0
    assert [line["status"] for line in front.lines()] == [499]
    upstreams = front.gateway.pipeline.proxy._pools.values()
    await until(lambda: all(pool.pick().running == 0 for pool in upstreams))


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


# --- services that fail ------------------------------------------------------------------------------


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


# --- time ---------------------------------------------------------------------------------------------


async def test_a_service_that_does_not_answer_in_time_is_504() -> None:
    held = Held()
    async with behind(held.script) as front:
        entry, _ = front.gateway.pipeline.table.match("POST", "/auth/login")
        object.__setattr__(entry.route, "deadline_s", 0.05)
        try:
            received = await front.request("POST", "/auth/login", None, b"{}")
        finally:
            object.__setattr__(entry.route, "deadline_s", 30.0)
        await within(held.left)
        assert front.sample("upstream_request_seconds_count", upstream="auth", result="timeout") == 1
    assert (received.status, received.error, received.value("Retry-After")) == (504, "deadline_exceeded", "2")


async def test_a_slow_head_is_cut_off() -> None:
    async with recorded(HEAD_TIMEOUT_S="0.2") as (front, _):
        idle = await front.connect()
        wire = await front.connect()
        started = asyncio.get_running_loop().time()
        wire.send(b"GET /live HTTP/1.1\r\n")
        dripping = asyncio.create_task(_drip(wire))
        assert await wire.rest() == b""
        elapsed_s = asyncio.get_running_loop().time() - started
        dripping.cancel()
        idle.send(request_bytes("GET /live", "Connection: close"))
        assert statuses(await idle.rest()) == [200]
    assert 0.15 < elapsed_s < 2


async def _drip(wire: Wire) -> None:
    for index in range(1_000):
        wire.send(b"X-%d: y\r\n" % index)
        await asyncio.sleep(0.02)


async def test_a_second_slow_head_on_a_connection_is_cut_off_too() -> None:
    async with recorded(HEAD_TIMEOUT_S="0.2") as (front, _):
        wire = await front.connect()
        wire.send(request_bytes("GET /live"))
        assert (await wire.answer())[0] == 200
        wire.send(b"GET /live HTTP/1.1\r\n")
        assert await wire.rest() == b""


@pytest.mark.parametrize(
    "head",
    [chunk_head(3 * MIB), request_bytes("POST /auth/login", "Content-Length: 100")],
    ids=["raw", "json"],
)
async def test_a_body_without_progress_is_408_and_the_connection_ends(head: bytes) -> None:
    async with recorded(BODY_IDLE_S="0.2") as (front, _):
        received = await front.raw(head + b"x" * 10)
        assert front.counted(408) == 1
    assert statuses(received) == [408]
    assert b'"error":"request_timeout"' in received


async def test_a_slow_body_that_moves_is_served() -> None:
    async with recorded(BODY_IDLE_S="0.3") as (front, service):
        wire = await front.connect()
        wire.send(chunk_head(100_000))
        for _index in range(10):
            wire.send(b"x" * 10_000)
            await asyncio.sleep(0.06)
        assert (await wire.answer())[0] == 200
        wire.leave()
    assert len(service.seen[0].body) == 100_000


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000000"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async with serving(endless) as port, fronting(port, BODY_IDLE_S="0.2") as front:
        wire = await front.connect()
        wire.send(request_bytes(DOWNLOAD))
        await until(lambda: front.counted(408) == 1)
        await until(lambda: front.sample("http_in_flight_requests") == 0)
        wire.leave()


async def test_a_service_that_stops_in_the_middle_is_cut_off() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nsome")
        await reader.read()

    async with behind(script, BODY_IDLE_S="0.2") as front:
        wire = await front.connect()
        wire.send(request_bytes(DOWNLOAD))
        await wire.rest()
        await until(lambda: front.counted(502) == 1)


async def test_many_slow_clients_do_not_slow_the_others() -> None:
    async with recorded() as (front, _):
        slow = [await front.connect() for _index in range(300)]
        for index, wire in enumerate(slow):
            wire.send(b"GET /li" if index % 2 else chunk_head(MIB)[:-2])
        for _index in range(20):
            assert (await front.request("GET", "/live")).status == 200
        for wire in slow:
            wire.leave()


# --- memory and shutdown -----------------------------------------------------------------------------


async def test_a_slow_service_slows_the_client() -> None:
    """Back-pressure: what the service does not take stays with the client, not here."""
    held = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await held.wait()

    async with behind(script) as front:
        wire = await front.connect()
        wire.send(chunk_head(500 * MIB))
        taken = 0
        try:
            async with asyncio.timeout(1.0):
                while True:
                    wire.send(b"x" * 65_536)
                    await wire.writer.drain()
                    taken += 65_536
        except TimeoutError:
            pass
        held.set()
        wire.leave()
    assert taken < 60 * MIB  # what two pairs of kernel buffers hold


@asynccontextmanager
async def slow_service(held: asyncio.Event) -> AsyncIterator[Front]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        received = 0
        while piece := await request.content.readany():
            received += len(piece)
        await held.wait()
        return web.json_response({"received": received})

    async with serving(handle) as port, fronting(port, SHUTDOWN_S="5") as front:
        yield front


async def test_draining_lets_running_uploads_finish_and_takes_no_more() -> None:
    held = asyncio.Event()
    async with slow_service(held) as front:
        idle, wire = await front.connect(), await front.connect()
        idle.send(request_bytes("GET /live"))
        await idle.answer()
        wire.send(chunk_head(3 * MIB) + b"x" * MIB)
        await until(lambda: front.sample("http_in_flight_requests") == 1)
        front.gateway.health.draining = True
        ready = await front.request("GET", "/ready")
        assert (ready.status, ready.error) == (503, "not_ready")
        stopping = asyncio.create_task(front.runner.cleanup())
        assert await idle.rest() == b""
        wire.send(b"x" * 2 * MIB)
        held.set()
        status, body = await wire.answer()
        assert (status, body) == (200, b'{"received": %d}' % (3 * MIB))
        assert await wire.rest() == b""
        await asyncio.wait_for(stopping, SAFE_S)
        with pytest.raises(OSError):
            await front.connect()


async def test_draining_does_not_wait_for_ever() -> None:
    held = Held()
    async with scripted(held.script) as port, fronting(port, SHUTDOWN_S="0.2") as front:
        wire = await front.connect()
        wire.send(request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}"))
        await within(held.arrived)
        await asyncio.wait_for(front.runner.cleanup(), SAFE_S)
        await within(held.left)
        assert await wire.rest() == b""
