"""The boundary of a service: credentials, the one error form, request ids, metrics and the access log."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import ClientPayloadError, ClientSession, web
from prometheus_client import CollectorRegistry, generate_latest

from services.kit.clock import World
from services.kit.errors import Fault
from services.kit.health import Health
from services.kit.log import Log
from services.kit.metrics import HttpMetrics
from services.kit.tokens import CredentialChecker, CredentialSigner
from services.kit.web.answers import Streamed, json_response
from services.kit.web.app import Handler, application, user_of
from services.kit.web.body import Pace, json_value, pieces
from services.kit.web.boundary import Boundary
from services.kit.web.listener import Listener, server_options
from services.kit.web.routing import Route, Token, health_routes

pytestmark = pytest.mark.unit

KEYS = {"gateway": "g" * 32, "files": "f" * 32}
NOW = 1_000_000.0
USER = UUID(int=3)
PACE = Pace(idle_s=0.3, least_bytes_per_s=0, window_s=60)
ROUTES = (
    Route("GET", "/things/{thing_id}", "thing"),
    Route("POST", "/things", "add", body="json"),
    Route("POST", "/raw", "raw", body="raw"),
    Route("GET", "/broken", "broken"),
    Route("GET", "/slow", "slow"),
    Route("GET", "/streamed/{ending}", "streamed"),
    Route("POST", "/internal/sync", "sync", token=Token.NONE, internal=True),
    *health_routes(),
)


class Handlers:
    """One handler of each kind."""

    def __init__(self) -> None:
        self.started, self.release = asyncio.Event(), asyncio.Event()
        self.closed: list[str] = []

    def table(self) -> dict[str, Handler]:
        names = ("thing", "add", "raw", "broken", "slow", "streamed", "sync")
        return {name: getattr(self, name) for name in names}

    async def thing(self, request: web.Request) -> web.StreamResponse:
        return json_response({"id": request.match_info["thing_id"], "user": user_of(request)})

    async def add(self, request: web.Request) -> web.StreamResponse:
        return json_response({"got": await json_value(request)}, 201)

    async def raw(self, request: web.Request) -> web.StreamResponse:
        received = b"".join([piece async for piece in pieces(request, PACE)])
        return json_response({"bytes": len(received)})

    async def broken(self, _: web.Request) -> web.StreamResponse:
        raise RuntimeError("SELECT secret FROM users")

    async def slow(self, _: web.Request) -> web.StreamResponse:
        self.started.set()
        await self.release.wait()
        return json_response({})

    async def streamed(self, request: web.Request) -> web.StreamResponse:
        """Three pieces, of which the last one fails, is missing, or is there."""
        rest = [b"one", b"two", b"last"]

        async def source() -> bytes:
            ending = request.match_info["ending"]
            if len(rest) == 1 and ending == "fault":
                raise Fault("dependency_unavailable", "The object store is away.")
            if len(rest) == 1 and ending == "short":
                return b""
            return rest.pop(0) if rest else b""

        return Streamed(200, {"Content-Length": "10"}, source, lambda: self.closed.append("source"))

    async def sync(self, _: web.Request) -> web.StreamResponse:
        raise Fault("chunk_gap", "A gap.", details={"missing": [1]})


class Service:
    """The application behind a server, and what it logged and counted."""

    def __init__(self, path: Path) -> None:
        self.path, self.registry, self.handlers = path, CollectorRegistry(), Handlers()
        self.file = path.open("wb")
        self.log = Log("things", "things-1", "info", "json-queued", fd=self.file.fileno())
        self.boundary = Boundary(HttpMetrics(self.registry), self.log, World())
        self.app = application(
            ROUTES,
            self.handlers.table(),
            boundary=self.boundary,
            credentials=CredentialChecker("things", KEYS, lambda: NOW),
            health=Health("things", "Things work", {}, lambda: NOW),
            pace=PACE,
        )

    def lines(self) -> list[dict[str, Any]]:
        self.log.buffer.flush()
        os.fsync(self.file.fileno())
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()


def as_user(issuer: str = "gateway", user: UUID | None = USER) -> dict[str, str]:
    uid = str(user) if user else None
    token = CredentialSigner(issuer, "things", KEYS[issuer], lambda: NOW).token(uid)
    return {"X-Service-Token": token, **({"X-User-ID": uid} if uid else {})}


Opened = tuple[ClientSession, "Service"]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    service = Service(tmp_path / "log")
    runner = web.AppRunner(service.app, **server_options(lambda: None, lambda _: None))
    await runner.setup()
    listener = Listener(runner, service.boundary, stall_s=PACE.idle_s)
    port = await listener.start("127.0.0.1", 0)
    async with ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session, service
    await listener.stop(1)
    service.file.close()


@asynccontextmanager
async def answered(
    opened: Opened, method: str, path: str, headers: Mapping[str, str] | None = None, **given: Any
) -> AsyncIterator[tuple[int, Any, Mapping[str, str]]]:
    sent = as_user() if headers is None else headers
    async with opened[0].request(method, path, headers=sent, **given) as answer:
        body = await answer.read()
        yield answer.status, json.loads(body) if body else None, answer.headers


async def code(opened: Opened, method: str, path: str, **given: Any) -> tuple[int, str]:
    async with answered(opened, method, path, **given) as (status, body, headers):
        assert headers["X-Error-Code"] == body["error"]
        assert headers["X-Request-Id"] == body["request_id"]
        return status, body["error"]


async def test_a_request_finds_its_handler_and_its_user(opened: Opened) -> None:
    async with answered(opened, "GET", "/things/7") as (status, body, _):
        assert (status, body) == (200, {"id": "7", "user": str(USER)})


async def test_what_does_not_exist(opened: Opened) -> None:
    assert await code(opened, "GET", "/nothing") == (404, "route_not_found")
    assert await code(opened, "GET", "/things/a/b") == (404, "route_not_found")
    async with answered(opened, "PUT", "/things/7") as (status, body, headers):
        assert (status, body["error"], headers["Allow"]) == (405, "method_not_allowed", "GET, HEAD")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Service-Token": "x"},
        {"X-User-ID": str(USER)},
        {**as_user(), "X-User-ID": str(uuid4())},
        {**as_user(user=None), "X-User-ID": str(USER)},
        as_user("files"),
    ],
)
async def test_client_routes_take_the_gateways_credential_only(
    opened: Opened, headers: dict[str, str]
) -> None:
    refused = (401, "service_credential_invalid")
    assert await code(opened, "GET", "/things/7", headers=headers) == refused


async def test_a_route_that_needs_a_user_gets_none(opened: Opened) -> None:
    refused = (401, "service_credential_invalid")
    assert await code(opened, "GET", "/things/7", headers=as_user(user=None)) == refused


async def test_internal_routes_take_peers_only(opened: Opened) -> None:
    assert await code(opened, "POST", "/internal/sync") == (401, "service_credential_invalid")
    async with answered(opened, "POST", "/internal/sync", as_user("files", None)) as (status, body, _):
        assert (status, body["error"], body["details"]) == (422, "chunk_gap", {"missing": [1]})


async def test_an_unexpected_fault_is_that_requests_alone_and_shows_nothing(opened: Opened) -> None:
    assert await code(opened, "GET", "/broken") == (500, "internal_error")
    async with answered(opened, "GET", "/broken") as (_, body, _headers):
        assert "SELECT" not in body["message"]
    assert [line["event"] for line in opened[1].lines()][:2] == ["unexpected", "request"]
    async with answered(opened, "GET", "/things/7") as (status, _body, _headers):
        assert status == 200


@pytest.mark.parametrize("given", [str(uuid4()), str(uuid4()).upper()], ids=["lower", "upper"])
async def test_a_canonical_request_id_is_kept(opened: Opened, given: str) -> None:
    async with answered(opened, "GET", "/ping", {"X-Request-Id": given}) as (_, _body, headers):
        assert headers["X-Request-Id"] == given.lower()


@pytest.mark.parametrize("given", ["x", "0" * 32, str(UUID(int=1)) + " x"])
async def test_any_other_is_replaced(opened: Opened, given: str) -> None:
    async with answered(opened, "GET", "/ping", {"X-Request-Id": given}) as (_, _body, headers):
        assert UUID(headers["X-Request-Id"]).version == 4


class TestBodies:
    async def test_one_value_is_read(self, opened: Opened) -> None:
        async with answered(opened, "POST", "/things", data=b'{"a": 1}') as (status, body, _):
            assert (status, body) == (201, {"got": {"a": 1}})

    async def test_limits(self, opened: Opened) -> None:
        big = b'"' + b"x" * 70_000 + b'"'
        assert await code(opened, "POST", "/things", data=big) == (413, "body_too_large")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 1000

        assert await code(opened, "POST", "/things", data=endless()) == (413, "body_too_large")

    async def test_encodings(self, opened: Opened) -> None:
        headers = {**as_user(), "Content-Encoding": "br"}
        expected = (415, "unsupported_media_type")
        assert await code(opened, "POST", "/things", headers=headers, data=b"x") == expected
        headers["Content-Encoding"] = "Identity"
        assert await code(opened, "POST", "/things", headers=headers, data=b"x") == (400, "invalid_json")

    @pytest.mark.parametrize("path", ["/things", "/raw"])
    async def test_a_body_that_stands_still_is_408_and_the_end(self, opened: Opened, path: str) -> None:
        released = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield b" " * 10
            await released.wait()

        async with opened[0].post(path, headers=as_user(), data=stalling()) as answer:
            assert (answer.status, (await answer.json())["error"]) == (408, "request_timeout")
            assert answer.headers["Connection"] == "close"
        released.set()

    async def test_slow_progress_is_progress(self, opened: Opened) -> None:
        async def slow() -> AsyncIterator[bytes]:
            for _ in range(6):
                await asyncio.sleep(0.06)  # all together longer than the limit for standing still
                yield b"x"

        async with answered(opened, "POST", "/raw", data=slow()) as (status, body, _):
            assert (status, body) == (200, {"bytes": 6})


class TestCounting:
    async def test_templates_are_the_labels(self, opened: Opened) -> None:
        for number in range(50):
            async with answered(opened, "GET", f"/things/{number}") as (status, _body, _headers):
                assert status == 200
            await code(opened, "GET", f"/{number}")
        text = opened[1].metrics()
        label = 'method="GET",path="/things/{thing_id}",status="200"'
        assert f"http_requests_total{{{label}}} 50.0" in text
        assert 'http_requests_total{method="GET",path="unmatched",status="404"} 50.0' in text
        assert text.count("http_requests_total{") == 2
        assert "http_in_flight_requests 0.0" in text

    async def test_every_request_but_ping_is_one_line(self, opened: Opened) -> None:
        request_id = str(uuid4())
        async with answered(opened, "GET", "/ping", {}) as (status, _body, _headers):
            assert status == 200
        await code(opened, "GET", "/things/7", headers={"X-Request-Id": request_id})
        async with answered(opened, "POST", "/things", data=b"[1]") as (status, _body, _headers):
            assert status == 201
        refused, added = opened[1].lines()
        assert (refused["request_id"], refused["status"]) == (request_id, 401)
        assert (refused["error"], refused["user_id"]) == ("service_credential_invalid", None)
        assert (added["method"], added["route"], added["user_id"]) == ("POST", "/things", str(USER))
        assert (added["bytes_in"], added["bytes_out"]) == (3, len('{"got":[1]}'))
        assert added["duration_ms"] > 0


class TestStreaming:
    async def test_a_whole_answer_is_counted_and_closed(self, opened: Opened) -> None:
        async with opened[0].get("/streamed/whole", headers=as_user()) as answer:
            assert (answer.status, await answer.read()) == (200, b"onetwolast")
        async with opened[0].head("/streamed/whole", headers=as_user()) as answer:
            assert (answer.headers["Content-Length"], await answer.read()) == ("10", b"")
        assert [line["bytes_out"] for line in opened[1].lines()] == [10, 0]
        assert opened[1].handlers.closed == ["source", "source"]

    @pytest.mark.parametrize(
        ("ending", "status", "error"), [("fault", 503, "dependency_unavailable"), ("short", 499, None)]
    )
    async def test_an_answer_that_cannot_be_completed_ends_short(
        self, opened: Opened, ending: str, status: int, error: str | None
    ) -> None:
        with pytest.raises(ClientPayloadError):
            async with opened[0].get(f"/streamed/{ending}", headers=as_user()) as answer:
                await answer.read()
        (line,) = opened[1].lines()
        assert (line["status"], line["error"], line["bytes_out"]) == (status, error, 6)
        assert opened[1].handlers.closed == ["source"]


def test_routes_and_handlers_must_agree(tmp_path: Path) -> None:
    handlers = Handlers().table()
    handlers = {**handlers, "more": handlers["slow"]}
    del handlers["slow"]
    with pytest.raises(ValueError, match="'more', 'slow'"):
        application(
            ROUTES,
            handlers,
            boundary=Boundary(HttpMetrics(CollectorRegistry()), Log("a", "a", "error", "off"), World()),
            credentials=CredentialChecker("things", KEYS, lambda: NOW),
            health=Health("things", "Things work", {}, lambda: NOW),
            pace=PACE,
        )
