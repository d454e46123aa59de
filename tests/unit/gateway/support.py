"""A gateway in this process in front of a service that does what a test says."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from aiohttp import ClientSession, DummyCookieJar, web

from gateway.app import served
from gateway.metrics import Metrics
from gateway.server import Gateway
from gateway.settings import Settings
from services.kit.clock import World
from services.kit.log import Log
from services.kit.run import Process
from services.kit.tokens import CredentialChecker, UserTokens
from services.kit.web.listener import Listener
from tests.environment import load
from tests.unit.gateway.wire import Wire, ended, request_bytes

KEY = "k" * 32
USER = UUID("11111111-2222-4333-8444-555555555555")
LARGE_BYTES = 65_536
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def environment(port: int, **more: str) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    return {
        "PORT": "1",
        "JWT_SECRET": KEY,
        "INTERNAL_KEY_GATEWAY_AUTH": KEY + "a",
        "INTERNAL_KEY_GATEWAY_UPLOAD": KEY + "u",
        "INTERNAL_KEY_GATEWAY_FILES": KEY + "f",
        "AUTH_URLS": url,
        "UPLOAD_URLS": url,
        "FILES_URLS": url,
        **more,
    }


def checker(service: str) -> CredentialChecker:
    return CredentialChecker(service, {"gateway": KEY + service[0]}, World().now)


def token(user_id: UUID = USER, tier: str = "standard", life_s: int = 3600, key: str = KEY) -> str:
    tokens = UserTokens(key, "testbed-auth", "testbed", World().now, life_s)
    return tokens.issue(user_id, "someone", "someone@example.org", tier, uuid4())


def bearer(**options: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**options)}"}


@dataclass(slots=True)
class Seen:
    """One request as the service got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: str) -> str:
        (value,) = self.values(name)
        return value


@dataclass(slots=True)
class Recorder:
    """A well-behaved service: keeps what it got and answers with what ``answer`` makes."""

    seen: list[Seen] = field(default_factory=list)
    answer: Callable[[Seen], web.StreamResponse] = lambda _: web.json_response({"ok": True})

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = [(name.decode(), value.decode(errors="replace")) for name, value in request.raw_headers]
        body = bytearray()
        async for piece in request.content.iter_any():
            body += piece
        self.seen.append(Seen(request.method, request.raw_path, headers, bytes(body)))
        return self.answer(self.seen[-1])


@dataclass(slots=True)
class Front:
    """The running gateway and what can be observed of it."""

    port: int
    metrics: Metrics
    session: ClientSession
    boundary: Gateway
    listener: Listener
    log_path: Path
    drain_s: float
    wires: list[Wire] = field(default_factory=list)

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def counted(self, status: int) -> float:
        """Requests counted with this status, over every route."""
        metric = next(m for m in self.metrics.registry.collect() if m.name == "http_requests")
        return sum(
            sample.value
            for sample in metric.samples
            if sample.name == "http_requests_total" and sample.labels["status"] == str(status)
        )

    def lines(self) -> list[dict[str, Any]]:
        """The access log."""
        logged = [json.loads(line) for line in self.log_path.read_text().splitlines()]
        return [line for line in logged if line["event"] == "request"]

    async def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> Received:
        url = f"http://127.0.0.1:{self.port}{path}"
        if isinstance(body, bytes) and len(body) > LARGE_BYTES:
            body = BytesIO(body)
        async with self.session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        ) as response:
            return Received(
                response.status,
                [(name.decode(), value.decode()) for name, value in response.raw_headers],
                await response.read(),
            )

    async def stop(self) -> None:
        """What SIGTERM causes."""
        await self.listener.stop(self.drain_s)

    async def connect(self) -> Wire:
        self.wires.append(Wire(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.wires[-1]

    async def raw(self, *pieces: bytes) -> bytes:
        """Send bytes on a new connection; everything that came back until the gateway closed it."""
        wire = await self.connect()
        for piece in pieces:
            wire.send(piece)
        return await wire.rest()


@dataclass(slots=True)
class Received:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: str) -> str:
        (value,) = self.values(name)
        return value

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        code: str = self.json()["error"]
        return code


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """The handler on a port of its own."""
    server = web.Server(handler, access_log=None, auto_decompress=False)
    running = web.ServerRunner(server, shutdown_timeout=0.5)
    await running.setup()
    await web.TCPSite(running, "127.0.0.1", 0).start()
    try:
        yield running.addresses[0][1]
    finally:
        await running.cleanup()


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """A raw server on a port of its own: ``script`` talks, then the connection is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            await ended(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def fronting(service_port: int, world: World | None = None, **settings: str) -> AsyncIterator[Front]:
    """A gateway before the service on ``port``."""
    configured = load(Settings, environment(service_port, **settings))
    with tempfile.NamedTemporaryFile() as log_file:
        log = Log("gateway", "test", "info", "stdlib-sync", log_file.fileno())
        async with AsyncExitStack() as stack:
            metrics = Metrics()
            runner, boundary, _ = served(Process("gateway", configured, metrics, world or World(), log))
            assert isinstance(boundary, Gateway)
            await runner.setup()
            listener = Listener(runner, boundary, stall_s=configured.body_idle_s)
            port = await listener.start("127.0.0.1", 0)
            stack.push_async_callback(listener.stop, configured.shutdown_s)
            session = await stack.enter_async_context(
                ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False)
            )
            path = Path(log_file.name)
            front = Front(port, metrics, session, boundary, listener, path, configured.shutdown_s)
            yield front
            for wire in front.wires:
                await ended(wire.writer)


@asynccontextmanager
async def recorded(
    answer: Callable[[Seen], web.StreamResponse] | None = None, **settings: str
) -> AsyncIterator[tuple[Front, Recorder]]:
    """A gateway before a well-behaved service."""
    service = Recorder()
    if answer is not None:
        service.answer = answer
    async with serving(service.handle) as port, fronting(port, None, **settings) as front:
        yield front, service


@asynccontextmanager
async def behind(script: Script, **settings: str) -> AsyncIterator[Front]:
    """A gateway before a raw server."""
    async with scripted(script) as port, fronting(port, None, **settings) as front:
        yield front


MIB = 1024 * 1024
AUTHORIZED = f"Authorization: Bearer {token()}"
DOWNLOAD = "GET /api/files/f/00000000-0000-4000-8000-000000000001/download"


def chunk_head(length: int, *headers: str) -> bytes:
    """The head of a chunk upload that may pass."""
    line = "POST /api/upload/proxy/chunk?id=0"
    return request_bytes(line, AUTHORIZED, f"Content-Length: {length}", *headers)
