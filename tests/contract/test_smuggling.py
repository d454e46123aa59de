"""Hostile HTTP: bytes that are refused, and after which nothing is answered."""

from __future__ import annotations

import pytest

from tests.unit.gateway.support import recorded
from tests.unit.gateway.wire import request_bytes, statuses, until

pytestmark = pytest.mark.contract
AFTER = request_bytes("GET /auth/live")
POST = "POST /auth/login"
CHUNKED_EMPTY = b"0\r\n\r\n"


def post(*headers: str, body: bytes = b"") -> bytes:
    return request_bytes(POST, *headers, body=body)


def line(raw: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([raw, b"Host: gateway", *headers, b"", b""])


REFUSED_HEADS = {
    "length and coding": post("Content-Length: 5", "Transfer-Encoding: chunked", body=CHUNKED_EMPTY),
    "coding and length": post("Transfer-Encoding: chunked", "Content-Length: 5", body=CHUNKED_EMPTY),
    "two equal lengths": post("Content-Length: 2", "Content-Length: 2", body=b"{}"),
    "two different lengths": post("Content-Length: 2", "Content-Length: 3", body=b"{} "),
    "empty length": post("Content-Length:", body=b"{}"),
    "length with plus": post("Content-Length: +2", body=b"{}"),
    "negative length": post("Content-Length: -1", body=b"{}"),
    "length with underscore": post("Content-Length: 1_0", body=b"{}" * 5),
    "list of lengths": post("Content-Length: 2, 2", body=b"{}"),
    "overflowing length": post("Content-Length: 99999999999999999999999", body=b"{}"),
    "coding xchunked": post("Transfer-Encoding: xchunked", body=CHUNKED_EMPTY),
    "coding identity": post("Transfer-Encoding: identity", body=b"{}"),
    "coding chunked, identity": post("Transfer-Encoding: chunked, identity", body=CHUNKED_EMPTY),
    "two codings lines": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED_EMPTY),
    "two codings lines, one unknown": post(
        "Transfer-Encoding: chunked", "Transfer-Encoding: x", body=CHUNKED_EMPTY
    ),
    "folded header": post("X-A: 1", " folded", "Content-Length: 2", body=b"{}"),
    "bare line feed": b"POST /auth/login HTTP/1.1\nHost: gateway\nContent-Length: 2\n\n{}",
    "bare carriage return in a value": post("X-A: 1\r2", "Content-Length: 2", body=b"{}"),
    "NUL in a value": post("X-A: 1\x002", "Content-Length: 2", body=b"{}"),
    "control character in a value": post("X-A: 1\x012", "Content-Length: 2", body=b"{}"),
    "delete character in a value": post("X-A: 1\x7f2", "Content-Length: 2", body=b"{}"),
    "control character in the target": line(b"GET /auth/live?\x01 HTTP/1.1"),
    "space before the colon": post("Content-Length : 2", body=b"{}"),
    "empty name": post(": x", "Content-Length: 2", body=b"{}"),
    "HTTP/1.2": line(b"GET /auth/live HTTP/1.2"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /auth/live\r\n\r\n",
    "HTTP/0.9 with headers": line(b"GET /auth/live"),
    "a value that is not UTF-8": line(b"GET /auth/live HTTP/1.1", b"X-A: \xe9"),
    "lower-case method": line(b"get /auth/live HTTP/1.1"),
    "unknown method": line(b"FETCH /auth/live HTTP/1.1"),
    "no host": b"GET /auth/live HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /auth/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "coding in HTTP/1.0": b"POST /auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space in the target": line(b"GET /auth/live /x HTTP/1.1"),
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED_HEADS)
async def test_an_ambiguous_head_is_refused_bare_and_nothing_after_it_is_answered(name: str) -> None:
    async with recorded() as (front, service):
        received = await front.raw(REFUSED_HEADS[name] + AFTER)
        assert front.counted(400) == 1
    assert statuses(received) == [400]
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert body == b""
    assert service.seen == []


BROKEN_CHUNKS = {
    "space in the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "hexadecimal prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "overflowing size": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "line feed only": b"3\nabc\n0\n\n",
    "negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "data longer than said": b"3\r\nabcd\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
@pytest.mark.parametrize("together", [True, False])
async def test_a_broken_chunked_body_is_refused_and_reaches_no_service(name: str, together: bool) -> None:
    """The server says only of the head's own read that the body is broken; later, nothing more comes."""
    async with recorded(BODY_IDLE_S="0.2") as (front, service):
        head, body = post("Transfer-Encoding: chunked"), BROKEN_CHUNKS[name] + AFTER
        if together:
            received = await front.raw(head + body)
        else:
            wire = await front.connect()
            wire.send(head)
            await until(lambda: front.sample("http_in_flight_requests") == 1)
            wire.send(body)
            received = await wire.rest()
    assert statuses(received) == [400 if together else 408]
    assert service.seen == []


@pytest.mark.parametrize("framing", [b"2;x=", b"2\r\n{}\r\n0\r\nX: "])
async def test_an_extension_or_a_trailer_without_end_is_refused(framing: bytes) -> None:
    async with recorded(BODY_IDLE_S="0.2") as (front, service):
        wire = await front.connect()
        wire.send(post("Transfer-Encoding: chunked", body=framing))
        await until(lambda: front.sample("http_in_flight_requests") == 1)
        wire.send(b"a" * 40_000)
        received = await wire.rest()
    assert statuses(received) == [408]
    assert service.seen == []


async def test_a_body_of_many_small_chunks_is_no_endless_framing() -> None:
    async with recorded() as (front, service):
        body = b"1;x=yyyyyyyyyyyy\r\n \r\n" * 5_000 + CHUNKED_EMPTY
        received = await front.raw(post("Transfer-Encoding: chunked", "Connection: close", body=body))
    assert statuses(received) == [200]
    assert service.seen[0].body == b" " * 5_000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Transfer-Encoding: gzip, chunked"], 501),
        ([f"X-{index}: 1" for index in range(128)], 431),
        (["X-A: " + "a" * 9_000], 431),
        ([f"X-{index}: " + "a" * 8_000 for index in range(5)], 431),
    ],
)
async def test_what_is_not_served_is_refused_bare(headers: list[str], status: int) -> None:
    async with recorded() as (front, service):
        body = CHUNKED_EMPTY if "chunked" in headers[0] else b""
        received = await front.raw(post(*headers, body=body) + AFTER)
        assert front.counted(status) == 1
    assert statuses(received) == [status]
    assert b"connection: close" in received.lower()
    assert service.seen == []


@pytest.mark.parametrize(
    "offer", [["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x"], ["Upgrade: h2c"]]
)
async def test_an_offer_to_upgrade_is_ignored(offer: list[str]) -> None:
    async with recorded() as (front, service):
        received = await front.raw(
            post(*offer, "Content-Length: 2", body=b"{}") + request_bytes("GET /live", "Connection: close")
        )
    assert statuses(received) == [200, 200]
    assert service.seen[0].body == b"{}"
    assert service.seen[0].values("Upgrade") == []


async def test_a_request_line_that_is_too_long_is_431() -> None:
    async with recorded() as (front, _):
        assert statuses(await front.raw(line(b"GET /auth/live?" + b"a" * 9_000 + b" HTTP/1.1"))) == [431]


async def test_a_head_of_just_under_the_limits_passes() -> None:
    async with recorded() as (front, service):
        headers = [f"X-{index}: " + "a" * 8_000 for index in range(3)] + [
            f"Y-{index}: b" for index in range(110)
        ]
        received = await front.raw(post(*headers, "Content-Length: 2", "Connection: close", body=b"{}"))
    assert statuses(received) == [200]
    assert len(service.seen[0].values("X-0")[0]) == 8_000


@pytest.mark.parametrize("raw", [b"CONNECT gateway:80 HTTP/1.1", b"OPTIONS * HTTP/1.1"])
async def test_this_is_no_proxy(raw: bytes) -> None:
    async with recorded() as (front, service):
        received = await front.raw(line(raw) + AFTER)
    assert statuses(received) == [405]
    assert b'"error":"method_not_allowed"' in received
    assert service.seen == []
