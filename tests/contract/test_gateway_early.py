"""An answer that comes before the whole request did."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.unit.gateway.support import MIB, behind, chunk_head, recorded
from tests.unit.gateway.wire import SAFE_S, pour, read_head, request_bytes, statuses, within

pytestmark = pytest.mark.contract
CHUNK = "POST /api/upload/proxy/chunk?id=0"


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


async def test_a_refusal_reaches_a_client_that_reads_only_when_all_is_sent() -> None:
    length = 4 * MIB
    async with recorded() as (front, service):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # the kernel keeps little of it
            client.settimeout(SAFE_S)
            client.connect(("127.0.0.1", front.port))
            received = await asyncio.to_thread(_send_then_read, client, length)
    assert statuses(received) == [401]
    assert service.seen == []


def _send_then_read(client: socket.socket, length: int) -> bytes:
    client.sendall(request_bytes(CHUNK, f"Content-Length: {length}"))
    for _ in range(length // 65_536):
        client.sendall(b"x" * 65_536)
    return client.recv(65_536)


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
