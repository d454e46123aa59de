"""`make trace` on uploads that happened: the price in the logs is the price in the manifests."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from io import StringIO
from uuid import uuid4

import aiohttp
import pytest
from rich.console import Console

from compose.trace.command import source_of, trace
from compose.trace.follow import Journey, TraceError, UnknownId, follow
from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import PASSWORD
from tests.contract.flows import MIB, Multipart, Proxy, Single, Strategy
from tests.stack import System

pytestmark = pytest.mark.integration

PROXY = ["/proxy/session", "/proxy/chunk"]
MULTIPART = ["/multipart/session", "/multipart/part", "/multipart/complete"]
SINGLE = ["/single/session", "/single/complete"]


async def settled(system: System, upload_uuid: str, requests: int) -> Journey:
    """The journey, once all is written: two lines per request, one of the registration."""
    source = source_of(system.stack.run_dir)
    async with asyncio.timeout(30):
        while True:
            try:
                journey = follow(source, upload_uuid)
            except UnknownId:
                journey = None
            if journey is not None and len(journey.hops) == 2 * requests + 1:
                return journey
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("strategy", "routes", "statements", "store_requests"),
    [(Proxy(), PROXY, 5, 1), (Multipart(), MULTIPART, 5, 2), (Single(), SINGLE, 4, 1)],
    ids=["proxy", "multipart", "single"],
)
async def test_one_upload_through_all_processes(
    system: System, strategy: Strategy, routes: list[str], statements: int, store_requests: int
) -> None:
    async with aiohttp.ClientSession() as http:
        name = hashlib.sha256(strategy.name.encode()).hexdigest()[:12]
        body = {"username": name, "email": f"{name}@trace.example", "password": PASSWORD}
        token = (await Api(http, system.gateway, Counter()).ok("POST", "/auth/signup", json=body))["token"]
        user = Api(http, system.gateway, Counter(), token, body["email"])
        upload = await flows.start(strategy, user, bytes(MIB))
        await strategy.send(upload, 0)
        if not isinstance(strategy, Proxy):
            await strategy.finish(upload)

    journey = await settled(system, upload.uuid, len(routes))
    assert journey.uploads == (upload.uuid,)
    expected = [("gateway", f"/api/upload{route}") for route in routes]
    assert [(hop.process, hop.route) for hop in journey.hops if hop.depth == 0] == expected
    assert [hop.route for hop in journey.hops if hop.depth == 1] == routes
    assert [(hop.process, hop.route) for hop in journey.hops if hop.depth == 2] == [
        ("files", "/internal/file")
    ]
    assert sum(hop.statements for hop in journey.hops) == statements
    assert sum(hop.store_requests for hop in journey.hops) == store_requests
    assert len(journey.gaps) == (0 if isinstance(strategy, Proxy) else 1)
    for outer, inner in zip(journey.hops, journey.hops[1:], strict=False):
        if inner.depth > outer.depth:
            assert outer.upstream_ms > 0
            assert outer.started_ms <= inner.ended_ms
            assert inner.started_ms <= outer.ended_ms

    out = StringIO()
    console = Console(file=out, width=80, color_system=None)
    trace(source_of(system.stack.run_dir), upload.uuid, console, as_json=False, everything=False)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert out.getvalue().count("█") >= len(journey.hops)
    with pytest.raises(TraceError, match="no log has a line"):
        trace(source_of(system.stack.run_dir), str(uuid4()), console, as_json=False, everything=False)
