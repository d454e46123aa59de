"""Hostile HTTP: what must not get through, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from tests.unit.gateway.support import (
    USER,
    bearer,
    checker,
    fronting,
    recorded,
    request_bytes,
    serving,
    statuses,
    token,
)

pytestmark = pytest.mark.contract
AFTER = request_bytes("GET /auth/live")
POST = "POST /auth/login"
CHUNKED_EMPTY = b"0\r\n\r\n"
FILE = "00000000-0000-4000-8000-000000000001"


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
async def test_a_broken_chunked_body_ends_in_400_and_reaches_no_service(name: str, together: bool) -> None:
    async with recorded() as (front, service):
        head, body = post("Transfer-Encoding: chunked"), BROKEN_CHUNKS[name] + AFTER
        if together:
            received = await front.raw(head + body)
        else:
            wire = await front.connect()
            wire.send(head)
            await wire.writer.drain()
            while front.sample("http_in_flight_requests") == 0:
                received = await front.raw(b"GET /live HTTP/1.0\r\n\r\n")
                break
            wire.send(body)
            received = await wire.rest()
    assert statuses(received) == [400]
    assert service.seen == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Transfer-Encoding: gzip, chunked"], 501),
        (["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x"], 501),
        (["Upgrade: h2c"], 501),
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


async def test_trailers_and_chunk_extensions_never_pass() -> None:
    body = b"2;x=y\r\n{}\r\n0\r\nX-User-ID: evil\r\nX-Service-Token: evil\r\n\r\n"
    async with recorded() as (front, service):
        head = post("Transfer-Encoding: chunked", "Trailer: X-User-ID", "Connection: close")
        assert statuses(await front.raw(head + body)) == [200]
    (seen,) = service.seen
    assert seen.body == b"{}"
    assert seen.values("X-User-ID") == seen.values("Trailer") == []
    assert "evil" not in str(seen.headers)


@pytest.mark.parametrize(
    "name",
    [
        "X-User-ID",
        "x-user-id",
        "X_User_ID",
        "x_user-id",
        "X-Service-Token",
        "X_Service_Token",
        "X-Request-Timeout-Ms",
        "X_Request_Timeout_Ms",
        "X_Request_Id",
        "X_Forwarded_For",
    ],
)
@pytest.mark.parametrize(
    "connection",
    ["keep-alive", "X-User-ID, X-Service-Token, Content-Length, X-Request-Id, Host, Authorization"],
)
async def test_identity_headers_are_the_gateways_alone(name: str, connection: str) -> None:
    async with recorded() as (front, service):
        headers = {**bearer(), name: "evil", "Connection": connection}
        answer = await front.request("POST", "/api/upload/multipart/part", headers, b"{}")
    assert answer.status == 200
    (seen,) = service.seen
    assert seen.value("X-User-ID") == str(USER)
    assert checker("upload").check(seen.value("X-Service-Token"), str(USER)).user_id == USER
    assert (seen.value("X-Request-Timeout-Ms"), seen.value("Content-Length")) == ("30000", "2")
    assert seen.value("X-Request-Id") == answer.value("X-Request-Id")
    assert "evil" not in str(seen.headers)


async def test_hop_by_hop_headers_and_those_named_by_connection_stay_here() -> None:
    headers = {
        "Connection": "keep-alive, X-Secret ,x-other",
        "X-Secret": "gone",
        "X-Other": "gone",
        "Keep-Alive": "gone",
        "Proxy-Authorization": "gone",
        "Proxy-Anything": "gone",
        "TE": "gone",
        "Trailer": "gone",
        "Expect": "gone",
        "X-Kept": "kept",
    }
    async with recorded() as (front, service):
        await front.request("POST", "/auth/login", headers, b"{}")
    (seen,) = service.seen
    assert "gone" not in str(seen.headers)
    assert seen.value("X-Kept") == "kept"
    assert len(seen.values("Host")) == 1


async def test_forwarded_headers_are_replaced_unless_the_peer_is_trusted() -> None:
    given = {"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}
    async with recorded() as (front, service):
        await front.request("POST", "/auth/login", given, b"{}")
        assert service.seen[0].values("X-Forwarded-For") == ["127.0.0.1"]
        assert service.seen[0].value("X-Forwarded-Proto") == "http"
        assert service.seen[0].value("X-Forwarded-Host") == f"127.0.0.1:{front.port}"
    async with recorded(TRUSTED_PROXIES="127.0.0.0/8") as (front, service):
        await front.request("POST", "/auth/login", given, b"{}")
        assert service.seen[0].values("X-Forwarded-For") == ["1.1.1.1, 127.0.0.1"]
        assert service.seen[0].value("X-Forwarded-Proto") == "https"


@pytest.mark.parametrize(
    "path",
    [
        "/api/files/internal/file",
        "/api/files//internal/file",
        "/api/files/./internal/file",
        "/api/files/f/../internal/file",
        "/api/files/%69nternal/file",
        "/api/files/%2Finternal/file",
        "/api/files%2Finternal%2Ffile",
        "/api/files/f/%2e%2e/internal/file",
        "/api/files/f/..%2finternal/file",
        "/api/files/internal%2Ffile",
        "/api/upload/../files/internal/file",
        "/auth/internal/resolve-users",
        "http://files/api/files/internal/file",
        "/internal/file",
        "/api/files/INTERNAL/file",
    ],
)
async def test_no_spelling_of_an_internal_path_is_forwarded(path: str) -> None:
    async with recorded() as (front, service):
        received = await front.raw(
            request_bytes(
                f"POST {path}",
                f"Authorization: Bearer {token()}",
                "Content-Length: 2",
                "Connection: close",
                body=b"{}",
            )
        )
    assert statuses(received) == [404]
    assert service.seen == []


@pytest.mark.parametrize(
    ("path", "forwarded"),
    [
        (f"/api/files/f/{FILE}", f"/f/{FILE}"),
        (f"/api/files/f/{FILE}/", f"/f/{FILE}"),
        (f"/api//files/./f/{FILE}", f"/f/{FILE}"),
        (f"/api/upload/%2e%2e/files/f/{FILE}", f"/f/{FILE}"),
        (f"/%61pi/files/f/{FILE}?q=%2F..", f"/f/{FILE}?q=%2F.."),
        (f"http://elsewhere:1/api/files/f/{FILE}?a", f"/f/{FILE}?a"),
        ("/api/files/f/a%00b", "/f/a%00b"),
        ("/api/files/f/a%20%3F%23b", "/f/a%20%3F%23b"),
        ("/api/files/f/%252e%252e", "/f/%252e%252e"),
        ("/api/files/f/%zz", "/f/%25zz"),
        ("/api/files/f/%ff", "/f/%FF"),
        ("/api/files/f/%C3%A9", "/f/%C3%A9"),
        ('/auth/live?a="<>|\\^`{}[]&b=%&c=?/../', '/live?a="<>|\\^`{}[]&b=%&c=?/../'),
        ("/auth/live?", "/live"),
    ],
)
async def test_the_matched_path_is_the_forwarded_path(path: str, forwarded: str) -> None:
    async with recorded() as (front, service):
        received = await front.raw(request_bytes(f"GET {path}", "Connection: close"))
    assert statuses(received) == [200]
    assert service.seen[0].target == forwarded


@pytest.mark.parametrize("path", ["/auth/live/", "/api/upload/status/", "/health/", "/api/files/f//"])
async def test_a_trailing_slash_matters_elsewhere(path: str) -> None:
    async with recorded() as (front, _):
        assert statuses(await front.raw(request_bytes(f"GET {path}", "Connection: close"))) == [404]


async def test_a_fragment_is_no_request_target() -> None:
    async with recorded() as (front, service):
        received = await front.raw(request_bytes("GET /auth/live#/internal", "Connection: close"))
    assert statuses(received)[0] in {400, 405}
    assert service.seen == []


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    body = b"GET /auth/live HTTP/1.1\r\nHost: evil\r\n\r\n"
    async with recorded() as (front, service):
        received = await front.raw(
            request_bytes("GET /auth/health")
            + post(f"Content-Length: {len(body)}", body=body)
            + request_bytes("GET /auth/ping", "Connection: close")
        )
    assert statuses(received) == [200, 200, 200]
    assert [seen.target for seen in service.seen] == ["/health", "/login", "/ping"]
    assert [seen.body for seen in service.seen] == [b"", body, b""]


async def test_ten_thousand_paths_make_no_series() -> None:
    async with recorded() as (front, _):
        await front.request("GET", "/nothing")
        before = len(list(_series(front.gateway.metrics.registry)))
        for start in range(0, 10_000, 100):
            paths = [f"GET /{number}/{number % 7}" for number in range(start, start + 99)]
            await front.raw(
                b"".join(map(request_bytes, paths)) + request_bytes("GET /x", "Connection: close")
            )
        assert len(list(_series(front.gateway.metrics.registry))) == before
        assert front.sample("http_requests_total", method="GET", path="unmatched", status="404") == 10_001


def _series(registry: CollectorRegistry) -> Iterator[Sample]:
    for metric in registry.collect():
        yield from metric.samples


async def test_a_service_that_logs_what_it_gets_sees_one_request_per_request() -> None:
    """The classic desync: the body of the first request must not become a second one upstream."""
    heads: list[bytes] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        heads.append(request.raw_path.encode())
        await request.content.read()
        return web.json_response({})

    async with serving(handle) as port, fronting(port) as front:
        inner = request_bytes("GET /internal/file")
        await front.raw(post(f"Content-Length: {len(inner)}", "Connection: close", body=inner))
        await front.raw(
            post(
                "Transfer-Encoding: chunked",
                "Connection: close",
                body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner),
            )
        )
        chunk = request_bytes(
            "POST /api/upload/proxy/chunk?id=0",
            f"Authorization: Bearer {token()}",
            "Content-Length: 100000",
            "Connection: close",
            body=(inner * 5_000)[:100_000],
        )
        await front.raw(chunk)
    assert heads == [b"/login", b"/login", b"/proxy/chunk?id=0"]
