"""A slower way to the system: toxiproxy before the gateway and before the store alike.

Half of the round trip is added each way, and each connection gets the bandwidth for itself, as each client of
a real network has a line of its own. Nothing of the system is changed: URLs stay signed for the address that
they name, and only the connection leads through toxiproxy, in k6 by its option ``hosts`` (see
``store_route``). Stacks of a comparison have their own address of the store, so arms can differ in their
network. toxiproxy is a process of ours, in a container too: there it runs beside k6 and ends with it all.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from loadtests.harness import background
from loadtests.harness.testbeds.store_route import StoreRoute
from loadtests.harness.testbeds.system import System, find_tool
from loadtests.harness.testbeds.testbed import SystemNotUp
from loadtests.harness.wording import network

PROGRAM = "toxiproxy"
READY_LIMIT_S, END_LIMIT_S = 10.0, 5.0
KB_PER_S_OF_MBIT = 125  # toxiproxy's kilobytes are 1,000 bytes
NOWHERE = "127.0.0.1:9"  # until it is known where a proxy leads
QUIET = asyncio.subprocess.DEVNULL
STREAMS = ("upstream", "downstream")


class NetworkError(Exception):
    """The network cannot be slowed down; the message says why."""


@dataclass(frozen=True, slots=True)
class Link:
    """What is put between client and system. No limit of bandwidth: ``None``."""

    rtt_ms: float = 0.0
    bandwidth_mbit: float | None = None

    def __bool__(self) -> bool:
        return self.rtt_ms > 0 or self.bandwidth_mbit is not None

    def __str__(self) -> str:
        """Behind a sentence; empty where nothing is between."""
        return f" over a network of {network(self.rtt_ms, self.bandwidth_mbit)}" if self else ""

    def transfer_s(self, size_bytes: int) -> float:
        """How long a file takes on a line of its own at least; 0 without a limit of bandwidth."""
        return 0.0 if self.bandwidth_mbit is None else size_bytes * 8 / (self.bandwidth_mbit * 1e6)

    def toxics(self) -> list[dict[str, Any]]:
        """As toxiproxy wants them, in the order of the way: whole milliseconds, the odd one on the way back.

        The bandwidth comes first: only what it lets through is on its way, and waits in memory meanwhile.
        """
        found = []
        if self.bandwidth_mbit is not None:
            rate = max(1, round(self.bandwidth_mbit * KB_PER_S_OF_MBIT))
            found = [_toxic("bandwidth", stream, {"rate": rate}) for stream in STREAMS]
        there = int(self.rtt_ms // 2)
        delays = dict(zip(STREAMS, (there, round(self.rtt_ms) - there), strict=True))
        return found + [
            _toxic("latency", stream, {"latency": delay}) for stream, delay in delays.items() if delay
        ]


def _toxic(kind: str, stream: str, attributes: Mapping[str, int]) -> dict[str, Any]:
    return {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": dict(attributes)}


@dataclass(slots=True)
class Network:
    """A running toxiproxy. Made by ``open_network``."""

    http: aiohttp.ClientSession
    api: str
    pid: int

    async def lay(self, name: str, link: Link, upstream: str = NOWHERE) -> str:
        """A way to ``upstream`` (``host:port``); the address where it begins."""
        proxy = await self._post("/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
        for toxic in link.toxics():
            await self._post(f"/proxies/{name}/toxics", toxic)
        return str(proxy["listen"])

    async def lead(self, name: str, upstream: str) -> None:
        """Lets a way lead to another place; connections that it has are cut."""
        await self._post(f"/proxies/{name}", {"upstream": upstream})

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self.http.post(f"{self.api}{path}", json=body) as answer:
            if answer.status >= 300:
                raise NetworkError(f"toxiproxy refused {path}: {await answer.text()}")
            found: dict[str, Any] = await answer.json(content_type=None)
            return found


@asynccontextmanager
async def open_network(environ: Mapping[str, str]) -> AsyncIterator[Network]:
    """Start toxiproxy; it ends with the block, or with us. Raises ``NetworkError``."""
    program = await asyncio.to_thread(find_toxiproxy, environ)
    port = background.free_port()
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    process = await asyncio.create_subprocess_exec(
        *guard, str(program), "-host", "127.0.0.1", "-port", str(port),
        stdin=QUIET, stdout=QUIET, stderr=QUIET,
        start_new_session=True,
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        stack.push_async_callback(background.end, process, END_LIMIT_S)
        timeout = aiohttp.ClientTimeout(total=5)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        network = Network(http, f"http://127.0.0.1:{port}", process.pid)
        if not await background.answers(http, f"{network.api}/version", process, READY_LIMIT_S):
            raise NetworkError("toxiproxy did not start")
        yield network


@asynccontextmanager
async def slowed(system: System, link: Link) -> AsyncIterator[System]:
    """The running testbed behind a link, for clients; audits and admin ports stay as near as they are."""
    if not link:
        yield system
        return
    async with open_network(system.environ) as network:
        gateway = await network.lay("gateway", link, urlsplit(system.gateway_url).netloc)
        store = await network.lay("store", link, system.store.inner)
        yield replace(system, gateway_url=f"http://{gateway}", store=StoreRoute(system.store.public, store))


def find_toxiproxy(environ: Mapping[str, str]) -> Path:
    """The program, installed if it is missing. Raises ``NetworkError``."""
    try:
        return find_tool(PROGRAM, environ)
    except SystemNotUp as error:
        if environ.get("BENCH_PROJECT"):
            raise NetworkError(
                "RTT_MS and BANDWIDTH_MBIT need toxiproxy, which this image of the load lacks. "
                "make builds one that has it, e.g.: make stress RTT_MS=40"
            ) from error
        raise NetworkError(f"RTT_MS and BANDWIDTH_MBIT need toxiproxy. {error}") from error
