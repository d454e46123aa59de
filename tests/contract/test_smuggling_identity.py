"""Hostile HTTP: identity, paths and framing that must not get through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from tests.unit.gateway.support import USER, bearer, checker, fronting, recorded, serving, token
from tests.unit.gateway.wire import request_bytes, statuses

pytestmark = pytest.mark.contract
POST = "POST /auth/login"
FILE = "00000000-0000-4000-8000-000000000001"


def post(*headers: str, body: bytes = b"") -> bytes:
    return request_bytes(POST, *headers, body=body)


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
        before = len(list(_series(front.metrics.registry)))
        for start in range(0, 10_000, 100):
            paths = [f"GET /{number}/{number % 7}" for number in range(start, start + 99)]
            await front.raw(
                b"".join(map(request_bytes, paths)) + request_bytes("GET /x", "Connection: close")
            )
        assert len(list(_series(front.metrics.registry))) == before
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
