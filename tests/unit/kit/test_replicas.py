"""Several replicas used as one: who is asked, who rests, and what is never sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from services.kit.client import UpstreamBroken, UpstreamError, UpstreamUnreachable
from services.kit.metrics import UpstreamMetrics
from services.kit.upstream import Balanced, Body, CircuitOpen, Incoming, Reply, Upstream, balanced, live
from services.kit.upstream.replicas import REST_S
from tests.unit.kit.upstream_peer import source

pytestmark = pytest.mark.unit


class Replica:
    """One address that does what its fields say; counts how often it was asked."""

    def __init__(self, name: str, running: int = 0) -> None:
        self.name, self.running, self.asked = name, running, 0
        self.fault: UpstreamError | None = None
        self.headers: dict[str, str] = {}
        self.status = 200

    async def open(self, *_: Any, **__: Any) -> Incoming:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return cast(Incoming, Reply(self.status, cast(Any, CIMultiDict(self.headers)), self.name.encode()))

    async def json(self, *_: Any) -> Reply:
        return cast(Reply, await self.open())


class Bed:
    """Replicas behind a ``Balanced`` whose clock the test moves."""

    def __init__(self, *replicas: Replica) -> None:
        self.clock_s = 100.0
        self.balanced = Balanced([cast(Upstream, one) for one in replicas], lambda: self.clock_s)

    async def ask(self) -> str:
        incoming = await self.balanced.open("POST", "/", CIMultiDict(), timeout_s=1.0)
        return cast(Reply, incoming).body.decode()

    async def ask_many(self, count: int) -> Mapping[str, int]:
        names = [await self.ask() for _ in range(count)]
        return {name: names.count(name) for name in set(names)}


async def test_the_replica_with_the_fewest_exchanges_is_next_and_ties_take_turns() -> None:
    bed = Bed(Replica("busy", 3), Replica("first", 1), Replica("second", 1))
    assert await bed.ask_many(30) == {"first": 15, "second": 15}


async def test_an_unreachable_replica_is_passed_over_and_then_tried_by_one_request() -> None:
    dead, well = Replica("dead"), Replica("well", running=5)
    dead.fault = UpstreamUnreachable()
    bed = Bed(dead, well)
    assert await bed.ask_many(10) == {"well": 10}
    assert dead.asked == 1
    bed.clock_s += REST_S
    assert await bed.ask_many(10) == {"well": 10}
    assert dead.asked == 2
    dead.fault = None
    bed.clock_s += REST_S
    assert await bed.ask_many(10) == {"dead": 10}


async def test_while_one_request_tries_a_replica_the_others_keep_off() -> None:
    slow, well, answer = Replica("slow"), Replica("well", running=5), asyncio.Event()
    slow.fault = UpstreamUnreachable()
    bed = Bed(slow, well)
    await bed.ask()
    slow.fault, answered = None, slow.open

    async def waits(*_: Any, **__: Any) -> Incoming:
        await answer.wait()
        return await answered()

    slow.open = waits  # type: ignore[method-assign]
    bed.clock_s += REST_S
    trial = asyncio.create_task(bed.ask())
    await asyncio.sleep(0)
    assert await bed.ask_many(5) == {"well": 5}
    answer.set()
    assert await trial == "slow"


async def test_a_replica_that_says_it_leaves_gets_no_more() -> None:
    leaving, well = Replica("leaving"), Replica("well", running=5)
    leaving.headers = {"Connection": "Close"}
    bed = Bed(leaving, well)
    assert await bed.ask_many(10) == {"leaving": 1, "well": 9}
    bed.clock_s += REST_S
    leaving.fault = UpstreamUnreachable()
    assert await bed.ask_many(5) == {"well": 5}


async def test_a_refusal_that_ends_its_connection_says_nothing_about_the_replica() -> None:
    """It does so because of a body that is still being sent."""
    one, other = Replica("one"), Replica("other", running=5)
    one.headers, one.status = {"Connection": "close"}, 413
    bed = Bed(one, other)
    assert await bed.ask_many(10) == {"one": 10}


async def test_where_all_rest_all_are_asked_and_the_last_refusal_is_the_answer() -> None:
    first, second = Replica("first"), Replica("second")
    first.fault = second.fault = UpstreamUnreachable()
    bed = Bed(first, second)
    for _ in range(3):
        with pytest.raises(UpstreamUnreachable):
            await bed.ask()
    assert (first.asked, second.asked) == (3, 3)
    second.fault = None
    assert await bed.ask() == "second"


async def test_an_open_breaker_is_passed_over_and_the_shortest_wait_is_said() -> None:
    left, failing, well = Replica("left"), Replica("failing"), Replica("well", running=5)
    left.fault, failing.fault = CircuitOpen(20.0), CircuitOpen(3.5)
    bed = Bed(left, failing, well)
    assert await bed.ask_many(10) == {"well": 10}
    well.fault = CircuitOpen(9.0)
    with pytest.raises(CircuitOpen) as refused:
        await bed.ask()
    assert refused.value.retry_after_s == 4
    well.fault = UpstreamUnreachable()
    with pytest.raises(UpstreamUnreachable):
        await bed.ask()


async def test_what_was_sent_is_not_sent_to_another() -> None:
    first, second = Replica("first"), Replica("second", running=1)
    first.fault = UpstreamBroken()
    with pytest.raises(UpstreamBroken):
        await Bed(first, second).ask()
    assert second.asked == 0


async def test_one_address_is_not_balanced() -> None:
    one = cast(Upstream, Replica("one"))
    assert balanced([one]) is one


async def serve(stack: AsyncExitStack) -> int:
    """The port of a server that answers with the size of the body."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return port


@asynccontextmanager
async def ports(alive: int) -> AsyncIterator[list[int]]:
    """Ports of servers; then one that nobody listens on any more."""
    async with AsyncExitStack() as stack, AsyncExitStack() as gone:
        found = [await serve(stack) for _ in range(alive)]
        found.append(await serve(gone))
        await gone.aclose()
        yield found


@asynccontextmanager
async def upstreams(addresses: list[int]) -> AsyncIterator[list[Upstream]]:
    metrics = UpstreamMetrics(CollectorRegistry())
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Upstream("files", f"http://127.0.0.1:{port}", metrics))
            for port in addresses
        ]


async def test_a_streamed_body_reaches_another_replica_untouched() -> None:
    async with ports(1) as (well, dead), upstreams([dead, well]) as found:
        several = balanced(found)
        for _ in range(4):
            body: Body = source(b"x" * 70_000, b"y" * 30_000)
            incoming = await several.open("PATCH", "/", CIMultiDict(), body, timeout_s=5.0)
            assert await incoming.read() == b"100000"
            incoming.close()
        assert (await several.json("POST", "/", b"{}", {}, 5.0)).body == b"2"
        assert [one.running for one in found] == [0, 0]


async def test_the_living_are_counted() -> None:
    async with ports(2) as addresses, upstreams(addresses) as found:
        assert await live(found, 2.0) == 2
