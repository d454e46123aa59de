"""What a service gets from the gateway, and what a client gets back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from aiohttp import web

from gateway.headers import SECURITY
from tests.unit.gateway.support import USER, Seen, bearer, checker, fronting, recorded, serving, token
from tests.unit.gateway.wire import request_bytes, statuses

pytestmark = pytest.mark.contract
FILE = "00000000-0000-4000-8000-000000000001"


async def test_a_json_request_arrives_with_the_gateways_headers_and_no_prefix() -> None:
    async with recorded() as (front, service):
        headers = {**bearer(), "Content-Type": "application/json", "Upload-UUID": "u", "Checksum": "c"}
        answer = await front.request("POST", "/api/upload/proxy/session?a=%20b&a=2", headers, b'{"x": 1}')
    assert (answer.status, answer.json()) == (200, {"ok": True})
    (seen,) = service.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/proxy/session?a=%20b&a=2", b'{"x": 1}')
    assert seen.value("X-User-ID") == str(USER)
    assert checker("upload").check(seen.value("X-Service-Token"), str(USER)).user_id == USER
    assert seen.value("X-Request-Timeout-Ms") == "30000"
    assert seen.value("X-Forwarded-For") == "127.0.0.1"
    assert seen.value("X-Forwarded-Proto") == "http"
    assert seen.value("X-Forwarded-Host") == f"127.0.0.1:{front.port}"
    assert seen.value("X-Request-Id") == answer.value("X-Request-Id")
    assert (seen.value("Upload-UUID"), seen.value("Checksum")) == ("u", "c")
    assert seen.value("Content-Length") == "8"


async def test_without_a_token_no_user_is_named() -> None:
    async with recorded() as (front, service):
        await front.request("POST", "/auth/login", {"Authorization": "nonsense"}, b"{}")
        await front.request("GET", f"/api/files/f/{FILE}")
    for seen, name in zip(service.seen, ("auth", "files"), strict=True):
        assert seen.values("X-User-ID") == []
        assert checker(name).check(seen.value("X-Service-Token"), None).user_id is None


@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 3_000_000])
async def test_bodies_of_any_size_arrive_whole_and_counted(length: int) -> None:
    body = bytes(range(256)) * (length // 256 + 1)
    async with recorded(lambda seen: web.Response(body=seen.body)) as (front, service):
        answer = await front.request("POST", "/api/upload/proxy/chunk?id=0", bearer(), body[:length])
        assert answer.body == body[:length]
        assert service.seen[0].value("Content-Length") == str(length)
        assert front.sample("gateway_bytes_total", direction="in") == length
        assert front.sample("gateway_bytes_total", direction="out") == length
        line = front.lines()[-1]
    assert (line["bytes_in"], line["bytes_out"]) == (length, length)


async def test_a_raw_route_needs_a_length_and_json_may_be_chunked() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"a":'
        yield b"1}"

    async with recorded() as (front, service):
        raw = await front.request("POST", "/api/upload/proxy/chunk?id=0", bearer(), pieces())
        small = await front.request("POST", "/auth/login", None, pieces())
    assert (raw.status, raw.error) == (411, "length_required")
    assert small.status == 200
    assert (service.seen[0].body, service.seen[0].value("Content-Length")) == (b'{"a":1}', "7")
    assert service.seen[0].values("Transfer-Encoding") == []


async def test_large_or_encoded_json_is_refused_here() -> None:
    async with recorded() as (front, service):
        large = await front.request("POST", "/auth/login", None, b" " * 65_537)
        encoded = await front.request("POST", "/auth/login", {"Content-Encoding": "gzip"}, b"{}")
    assert (large.status, large.error) == (413, "body_too_large")
    assert (encoded.status, encoded.error) == (415, "unsupported_media_type")
    assert service.seen == []


@pytest.mark.parametrize(
    "given", ["ABCDEF00-0000-4000-8000-000000000001", "00000000-0000-4000-8000-00000000000a"]
)
async def test_a_canonical_request_id_is_used_in_lower_case(given: str) -> None:
    async with recorded() as (front, service):
        answer = await front.request("POST", "/auth/login", {"X-Request-Id": given}, b"{}")
        assert front.lines()[-1]["request_id"] == given.lower()
    assert answer.value("X-Request-Id") == service.seen[0].value("X-Request-Id") == given.lower()


@pytest.mark.parametrize("given", ["", "abc", "{00000000-0000-4000-8000-000000000001}", "x" * 36])
async def test_any_other_request_id_is_replaced(given: str) -> None:
    async with recorded() as (front, service):
        answer = await front.request("POST", "/auth/login", {"X-Request-Id": given}, b"{}")
    assert UUID(answer.value("X-Request-Id")).version == 4
    assert answer.value("X-Request-Id") == service.seen[0].value("X-Request-Id")


def _noisy(_: Seen) -> web.Response:
    headers = dict.fromkeys(SECURITY, "upstream")
    return web.json_response(
        {"a": 1},
        headers={
            **headers,
            "Access-Control-Allow-Origin": "*",
            "X-Error-Code": "leaked",
            "X-User-ID": "leaked",
            "X-Service-Token": "leaked",
            "X-Request-Id": "leaked",
            "Connection": "X-Named",
            "X-Named": "leaked",
            "Keep-Alive": "timeout=5",
            "Proxy-Authenticate": "x",
            "Server": "leaked",
            "traceparent": "leaked",
            "Strict-Transport-Security": "leaked",
            "ETag": '"e"',
        },
    )


async def test_what_an_upstream_says_about_transport_and_security_does_not_reach_the_client() -> None:
    async with recorded(_noisy) as (front, _):
        answer = await front.request("POST", "/auth/login", None, b"{}")
    for name, value in SECURITY.items():
        assert answer.value(name) == value
    assert (answer.value("ETag"), answer.value("Vary"), answer.value("Server")) == (
        '"e"',
        "Origin",
        "vaultbench",
    )
    gone = ["Access-Control-Allow-Origin", "X-Error-Code", "X-User-ID", "X-Service-Token", "X-Named"]
    gone += ["Keep-Alive", "Proxy-Authenticate", "traceparent", "Strict-Transport-Security"]
    assert [name for name in gone if answer.values(name)] == []
    assert "leaked" not in str(answer.headers)


@pytest.mark.parametrize("path", ["/health", "/nothing", "/auth/login", "/api/files/files", "/auth/live"])
async def test_every_answer_has_each_security_header_once(path: str) -> None:
    async with recorded(_noisy, HSTS="1") as (front, _):
        for headers in ({}, {"Origin": "http://localhost:3000"}, {"Origin": "http://evil"}):
            answer = await front.request("GET", path, headers)
            for name, value in SECURITY.items():
                assert answer.values(name) == [value]
            assert answer.values("Strict-Transport-Security") == ["max-age=63072000; includeSubDomains"]
            assert len(answer.values("X-Request-Id")) == 1
            assert answer.values("Vary") == ["Origin"]


async def test_upstream_json_passes_unchanged_also_as_an_error() -> None:
    body = b'{"error":"upload_not_found",  "message":"<&>","request_id":"x"}'

    def answer(_: Seen) -> web.Response:
        return web.Response(
            body=body,
            status=404,
            content_type="application/json",
            headers={"X-Error-Code": "upload_not_found"},
        )

    async with recorded(answer) as (front, _):
        received = await front.request("GET", "/api/upload/status", bearer())
        assert front.lines()[-1]["error"] == "upload_not_found"
    assert (received.status, received.body, received.values("X-Error-Code")) == (404, body, [])


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "route_not_found"),
        (500, "internal_error"),
        (502, "upstream_unavailable"),
        (418, "upstream_unavailable"),
    ],
)
async def test_an_error_body_that_is_not_json_is_replaced(status: int, code: str) -> None:
    def answer(_: Seen) -> web.Response:
        return web.Response(text="Traceback at 10.0.0.1", status=status)

    async with recorded(answer) as (front, _):
        received = await front.request("POST", "/auth/login", None, b"{}")
    assert received.status == (502 if status == 418 else status)
    assert received.error == code
    assert received.json()["request_id"] == received.value("X-Request-Id")
    assert b"Traceback" not in received.body


async def test_a_refused_service_credential_is_not_the_clients_401() -> None:
    def answer(_: Seen) -> web.Response:
        return web.json_response(
            {"error": "service_credential_invalid"},
            status=401,
            headers={"X-Error-Code": "service_credential_invalid"},
        )

    async with recorded(answer) as (front, _):
        received = await front.request("POST", "/auth/login", None, b"{}")
    assert (received.status, received.error) == (502, "upstream_unavailable")


def _large(seen: Seen) -> web.Response:
    return web.Response(body=b"x" * 200_000, content_type="image/png", headers={"Accept-Ranges": "bytes"})


@pytest.mark.parametrize(
    "answer", [_large, lambda _: web.Response(status=204), lambda _: web.json_response([1])]
)
async def test_head_works_wherever_get_does(answer: Callable[[Seen], web.Response]) -> None:
    async with recorded(answer) as (front, service):
        got = await front.request("GET", f"/api/files/f/{FILE}/download", bearer())
        head = await front.request("HEAD", f"/api/files/f/{FILE}/download", bearer())
        own = await front.request("HEAD", "/health")
        missing = await front.request("HEAD", "/nothing")
        last = await front.request("GET", "/health")
    assert [seen.method for seen in service.seen] == ["GET", "HEAD"]
    assert (head.status, head.body) == (got.status, b"")
    assert head.values("Content-Length") == got.values("Content-Length")
    assert (own.status, own.body, own.value("Content-Length")) == (200, b"", "19")
    assert (missing.status, missing.body) == (404, b"")
    assert last.body == b"API gateway working"


async def test_a_large_answer_streams_and_an_answer_without_length_is_chunked_again() -> None:
    async def unknown(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        for index in range(50):
            await response.write(bytes([index]) * 10_000)
        await response.write_eof()
        return response

    async with serving(unknown) as port, fronting(port) as front:
        received = await front.request("GET", f"/api/files/f/{FILE}/download", bearer())
        old = await front.raw(
            f"GET /api/files/f/{FILE}/download HTTP/1.0\r\nAuthorization: Bearer {token()}\r\n\r\n".encode()
        )
        assert front.sample("gateway_bytes_total", direction="out") == 1_000_000
    assert received.body == b"".join(bytes([index]) * 10_000 for index in range(50))
    assert received.value("Transfer-Encoding") == "chunked"
    head, _, body = old.partition(b"\r\n\r\n")
    assert body == received.body
    assert b"transfer-encoding" not in head.lower()


async def test_the_traced_context_passes_only_when_it_is_well_formed() -> None:
    good = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    async with recorded() as (front, service):
        for parent in (good, "00-" + "0" * 32 + "-" + "b" * 16 + "-01", "nonsense"):
            headers = {"traceparent": parent, "tracestate": "v=1"}
            await front.request("POST", "/auth/login", headers, b"{}")
    assert [seen.values("traceparent") for seen in service.seen] == [[good], [], []]
    assert [seen.values("tracestate") for seen in service.seen] == [["v=1"], [], []]


async def test_an_http_1_0_client_is_served_and_the_connection_ends() -> None:
    async with recorded() as (front, _):
        received = await front.raw(b"GET /auth/live HTTP/1.0\r\n\r\n")
    assert statuses(received) == [200]
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == {"ok": True}


async def test_a_thousand_requests_open_one_upstream_connection() -> None:
    async with recorded() as (front, service):
        for index in range(500):
            await front.request("GET", f"/api/files/f/{index}", bearer())
            await front.request("POST", "/api/upload/multipart/part", bearer(), b"{}")
        assert len(service.seen) == 1_000
        assert front.sample("upstream_connections_opened_total", upstream="files") == 1
        assert front.sample("upstream_connections_opened_total", upstream="upload") == 1
        assert front.sample("upstream_request_seconds_count", upstream="files", result="ok") == 500


async def test_chunks_share_one_upstream_connection_too() -> None:
    async with recorded() as (front, _):
        for _index in range(100):
            await front.request("POST", "/api/upload/proxy/chunk?id=0", bearer(), b"x" * 100_000)
        assert front.sample("upstream_connections_opened_total", upstream="upload") == 1


async def test_connections_of_clients_are_kept() -> None:
    async with recorded() as (front, _):
        wire = await front.connect()
        for _index in range(3):
            wire.send(request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}"))
            assert (await wire.answer())[0] == 200
        wire.leave()
