"""Breakers and repetitions in front of services that are down, stalled or full."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from compose import ports
from services.kit.clock import World
from services.kit.errors import ERROR_CODE
from tests.contract.test_gateway_process import START_S, accepts
from tests.unit.gateway.support import (
    AUTHORIZED,
    MIB,
    Front,
    Script,
    Seen,
    bearer,
    behind,
    fronting,
    recorded,
    scripted,
)
from tests.unit.gateway.wire import SAFE_S, Held, read_head, request_bytes, until, within

pytestmark = pytest.mark.contract
LOGIN = ("POST", "/auth/login", None, b"{}")
LONG_S = "600"  # whatever ends before was found by asking
SERVICE = textwrap.dedent("""
    import sys
    from aiohttp import web

    async def answer(request):
        await request.read()
        return web.json_response({"path": request.path})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
""")


@asynccontextmanager
async def service(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A well-behaved service in a process of its own."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, str(port))
    try:
        async with asyncio.timeout(START_S):
            while not await accepts(port):
                await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def state(front: Front, upstream: str = "auth") -> float:
    return front.sample("breaker_state", upstream=upstream)


def timeouts(front: Front) -> float:
    return front.sample("upstream_request_seconds_count", upstream="auth", result="timeout")


class Clock:
    """What the gateway takes for the time; the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.world = replace(World(), monotonic=lambda: self.now_s)


def moves(front: Front, to: str, upstream: str = "auth") -> float:
    return front.sample("breaker_transitions_total", upstream=upstream, to=to)


async def ask(front: Front, number: int) -> list[int]:
    return [(await front.request(*LOGIN)).status for _ in range(number)]


async def test_a_service_that_was_killed_is_left_alone_and_found_again() -> None:
    (port,) = ports.free(1)
    async with fronting(port, BREAKER_OPEN_S=LONG_S) as front:
        async with service(port):
            assert await ask(front, 4) == [200] * 4
        assert await ask(front, 6) == [502] * 6
        assert state(front) == 2
        refused = await front.request(*LOGIN)
        assert (refused.status, refused.error) == (503, "circuit_open")
        assert int(LONG_S) - 60 <= int(refused.value("Retry-After")) <= int(LONG_S)
        assert (await front.request("GET", "/auth/ping")).status == 502  # asked past the breaker
        detailed = (await front.request("GET", "/health/detailed")).json()
        assert detailed["breakers"]["auth"] == ["open"]
        async with service(port):
            await until(lambda: state(front) != 2)
            assert state(front) == 1
            assert await ask(front, 5) == [200] * 5
            assert state(front) == 0
        assert [moves(front, to) for to in ("open", "half_open", "closed")] == [1, 1, 1]
        assert moves(front, "open", "upload") == 0


async def test_a_service_that_stands_still_is_found_again() -> None:
    (port,) = ports.free(1)
    async with service(port) as process, fronting(port, BREAKER_OPEN_S=LONG_S) as front:
        entry, _ = front.boundary.pipeline.table.match("POST", "/auth/login")
        object.__setattr__(entry.route, "deadline_s", 0.1)
        try:
            os.kill(process.pid, signal.SIGSTOP)
            stalled = await asyncio.gather(*(front.request(*LOGIN) for _ in range(10)))
            assert [one.status for one in stalled] == [504] * 10
            assert state(front) == 2
            await until(lambda: timeouts(front) == 11)  # it was asked for its life, and said nothing
            assert (state(front), moves(front, "half_open")) == (2, 0)
        finally:
            object.__setattr__(entry.route, "deadline_s", 30.0)
            os.kill(process.pid, signal.SIGCONT)
        await until(lambda: state(front) == 1)
        assert await ask(front, 5) == [200] * 5
        assert state(front) == 0


async def test_without_the_probe_it_stays_open_for_its_time() -> None:
    clock = Clock()
    async with fronting(1, clock.world, BREAKER_PROBE="off", BREAKER_OPEN_S="20") as front:
        assert await ask(front, 10) == [502] * 10
        assert await ask(front, 1) == [503]
        clock.now_s += 19.5
        assert (await ask(front, 1), state(front)) == ([503], 2)
        clock.now_s += 0.5
        assert (await ask(front, 1), state(front)) == ([502], 2)  # a trial, which failed
        assert moves(front, "open") == 2


async def test_off_never_opens() -> None:
    async with fronting(1, BREAKER="off") as front:
        assert await ask(front, 30) == [502] * 30
        assert state(front) == 0


@pytest.mark.parametrize(
    ("status", "code", "opens"),
    [
        (500, "internal_error", True),
        (502, "", True),
        (503, "dependency_unavailable", True),
        (504, "deadline_exceeded", True),
        (503, "overloaded", False),
        (503, "insufficient_storage", False),
        (504, "still_finalising", False),
        (500, "store_inconsistent", False),
        (503, "send_again", False),
        (400, "invalid_json", False),
        (401, "service_credential_invalid", False),
        (404, "file_not_found", False),
        (429, "rate_limited", False),
        (501, "", False),
    ],
)
async def test_which_answers_are_failures(status: int, code: str, opens: bool) -> None:
    def answer(_: Seen) -> web.StreamResponse:
        headers = {ERROR_CODE: code} if code else {}
        return web.json_response({"error": code}, status=status, headers=headers)

    async with recorded(answer, BREAKER_PROBE="off") as (front, _):
        shown = await ask(front, 10)
        assert state(front) == (2 if opens else 0)
    assert set(shown) == {502 if status == 401 else status}


async def test_health_routes_pass_and_do_not_count() -> None:
    def answer(_: Seen) -> web.StreamResponse:
        return web.json_response({}, status=503)

    async with recorded(answer, BREAKER_PROBE="off") as (front, service):
        for _ in range(15):
            await front.request("GET", "/auth/ready")
        assert state(front) == 0
        await ask(front, 10)
        assert state(front) == 2
        seen = len(service.seen)
        await front.request("GET", "/auth/live")
        assert len(service.seen) == seen + 1


async def test_clients_that_leave_do_not_count() -> None:
    held = Held()
    async with behind(held.script) as front:
        for number in range(12):
            wire = await front.connect()
            wire.send(request_bytes("POST /auth/login", "Content-Length: 2", body=b"{}"))
            await within(held.arrived)
            held.arrived.clear()
            wire.leave()
            await until(lambda number=number: front.counted(499) == number + 1)  # type: ignore[misc]
        assert state(front) == 0


async def test_bodies_that_stall_or_break_off_do_not_count() -> None:
    async with recorded(BODY_IDLE_S="0.1") as (front, _):
        head = request_bytes("POST /api/upload/proxy/chunk?id=0", AUTHORIZED, f"Content-Length: {3 * MIB}")
        wires = [await front.connect() for _ in range(12)]
        for wire in wires:
            wire.send(head + b"x" * MIB)
        assert {(await wire.answer())[0] for wire in wires} == {408}
        assert state(front, "upload") == 0


async def test_an_answer_that_breaks_off_counts() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome")
        await writer.drain()

    async with behind(script, BREAKER_PROBE="off") as front:
        path = "/api/files/f/00000000-0000-4000-8000-000000000001/download?delivery=proxied"
        for _ in range(10):
            wire = await front.connect()
            wire.send(request_bytes(f"GET {path}"))
            await wire.rest()
        await until(lambda: state(front, "files") == 2)


async def test_trials_are_five_at_once_and_one_failure_opens_again() -> None:
    release, failing, arrived = asyncio.Event(), [True], 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        while True:
            await read_head(reader)
            await reader.readexactly(2)
            arrived += 1
            if not failing[0]:
                await release.wait()
            status = b"500 X" if failing[0] else b"200 OK"
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % status)

    clock = Clock()
    async with scripted(script) as port, fronting(port, clock.world, BREAKER_PROBE="off") as front:
        assert await ask(front, 10) == [500] * 10
        failing[0], arrived = False, 0
        clock.now_s += 30
        storm = [asyncio.create_task(front.request(*LOGIN)) for _ in range(20)]
        await until(lambda: sum(task.done() for task in storm) == 15)
        assert (arrived, state(front)) == (5, 1)
        release.set()
        answers = await asyncio.gather(*storm)
        refused = [one for one in answers if one.status == 503]
        assert {(one.error, one.value("Retry-After")) for one in refused} == {("circuit_open", "1")}
        assert (len(refused), state(front)) == (15, 0)


async def test_of_two_replicas_the_one_that_fails_is_left_alone() -> None:
    """Its breaker opens; the other answers, and no client meets an open circuit."""
    counts = {"bad": 0, "good": 0}

    def script_of(name: str, status: bytes) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_head(reader)
                await reader.readexactly(2)
                counts[name] += 1
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % status)

        return script

    async with scripted(script_of("bad", b"500 X")) as bad, scripted(script_of("good", b"200 OK")) as good:
        urls = ",".join(f"http://127.0.0.1:{port}" for port in (bad, good))
        async with fronting(1, AUTH_URLS=urls, BREAKER_PROBE="off") as front:
            shown = await ask(front, 60)
            assert counts["bad"] == 10
            assert (shown.count(500), shown.count(200), shown.count(503)) == (10, 50, 0)
            assert state(front) == 2  # the worst of both
            detailed = (await front.request("GET", "/health/detailed")).json()
            assert detailed["breakers"]["auth"] == ["open", "closed"]


@pytest.mark.parametrize(("first", "status", "connections"), [(b"", 200, 2), (b"HTTP/1.1 2", 502, 1)])
async def test_a_get_is_repeated_only_while_nothing_of_an_answer_came(
    first: bytes, status: int, connections: int
) -> None:
    seen = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        await read_head(reader)
        writer.write(first if seen == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with behind(script) as front:
        received = await front.request("GET", "/api/files/me/owned", bearer())
        assert (received.status, seen) == (status, connections)
        assert front.sample("upstream_retries_total", upstream="files") == connections - 1


async def test_an_answered_fault_is_not_repeated_and_no_time_means_no_repetition() -> None:
    def answer(_: Seen) -> web.StreamResponse:
        return web.json_response({}, status=503)

    async with recorded(answer) as (front, service):
        assert (await front.request("GET", "/api/files/me/owned", bearer())).status == 503
        assert len(service.seen) == 1

    seen = 0

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        await read_head(reader)
        await reader.read()  # until the gateway gives up

    async with behind(late) as front:
        entry, _ = front.boundary.pipeline.table.match("GET", "/api/files/me/owned")
        object.__setattr__(entry.route, "deadline_s", 0.1)
        try:
            async with asyncio.timeout(SAFE_S):
                received = await front.request("GET", "/api/files/me/owned", bearer())
        finally:
            object.__setattr__(entry.route, "deadline_s", 30.0)
        assert (received.status, seen) == (504, 1)
