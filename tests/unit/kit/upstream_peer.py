"""A client, and servers in this process that misbehave on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry

from services.kit.metrics import UpstreamMetrics
from services.kit.upstream import (
    Body,
    Upstream,
)

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """An upstream client and the metrics that it writes."""

    def __init__(self, client: Upstream, registry: CollectorRegistry) -> None:
        self.client = client
        self._registry = registry

    def count(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, {"upstream": "files", **labels}) or 0.0

    def results(self, result: str) -> float:
        return self.count("upstream_request_seconds_count", result=result)

    @property
    def opened(self) -> float:
        return self.count("upstream_connections_opened_total")

    @property
    def retries(self) -> float:
        return self.count("upstream_retries_total")


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Peer]:
    registry = CollectorRegistry()
    metrics = UpstreamMetrics(registry)
    async with Upstream("files", f"http://127.0.0.1:{port}", metrics) as client:
        yield Peer(client, registry)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Peer]:
    """A raw server that runs ``script`` on each connection and then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with client_of(server.sockets[0].getsockname()[1]) as peer:
            yield peer
    finally:
        server.close()


@asynccontextmanager
async def application(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Peer]:
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with client_of(runner.addresses[0][1]) as peer:
            yield peer
    finally:
        await runner.cleanup()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


class Pieces:
    """A body that is here already, in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._rest = list(pieces)

    async def read(self) -> bytes:
        return self._rest.pop(0) if self._rest else b""

    def interrupt(self) -> None:
        """Nobody waits for it."""

    def close(self) -> None:
        """Nothing is open."""


def source(*pieces: bytes) -> Body:
    return Body(Pieces(*pieces), sum(len(piece) for piece in pieces))
