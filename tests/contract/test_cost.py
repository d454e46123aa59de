"""What a client can make the gateway pay: an odd body costs about what an ordinary one of its size does."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import pytest

from loadtests.harness.records.vocabulary import service_of
from tests.contract.api import Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import Proxy, start
from tests.stack import System

pytestmark = pytest.mark.contract

MIB = 1 << 20
TIMES_ORDINARY = 3.0
ROUNDS, BODIES = 8, 5  # in each round so many ordinary bodies, then so many odd ones
PATIENCE_S = 30.0
LOOK_S, QUIET_LOOKS = 0.01, 4
ATTACK_S, ATTACKERS = 8.0, 4
READY_S = 1.0

ZEROS = bytes(MIB)
CHUNK = "POST /api/upload/proxy/chunk?id=0"
LENGTH = f"Content-Length: {MIB}"
CHUNKED = "Transfer-Encoding: chunked"
STRANGE = "Authorization: Bearer a.b.c"


@dataclass(frozen=True, slots=True)
class Odd:
    """A request with 1 MiB after its head; ``{mine}`` there stands for the headers of the user's chunk."""

    name: str
    line: str
    head: Sequence[str]
    body: bytes
    status: int
    segments: int = 1


def chunked(data: bytes, size: int, extension: bytes = b"") -> bytes:
    """The data in chunks of this many bytes: as many as fit into 1 MiB of wire."""
    line = b"%x%s\r\n" % (size, extension)
    count = min(len(data) // size, MIB // (len(line) + size + 2))
    return b"".join(line + data[:size] + b"\r\n" for _ in range(count)) + b"0\r\n\r\n"


BREAKS = b"\r\n" * (MIB // 2)
ODD = [
    Odd("a path that is not there", "POST /nope", (LENGTH,), ZEROS, 404),
    Odd("a method that is not there", "PATCH /auth/login", (LENGTH,), ZEROS, 405),
    Odd("no token", CHUNK, (LENGTH,), ZEROS, 401),
    Odd("a strange token", CHUNK, (STRANGE, LENGTH), ZEROS, 401),
    Odd("more than is allowed", CHUNK, ("{mine}", f"Content-Length: {11 * MIB}"), ZEROS, 413),
    Odd("no leave to send", CHUNK, (STRANGE, LENGTH, "Expect: 100-continue"), ZEROS, 401),
    Odd("no length", CHUNK, ("{mine}", CHUNKED), chunked(ZEROS, MIB // 2), 411),
    Odd("line breaks in one chunk", "POST /nope", (CHUNKED,), chunked(BREAKS, MIB // 2), 404),
    Odd("line breaks in many chunks", "POST /nope", (CHUNKED,), chunked(BREAKS, 1024), 404),
    Odd("line breaks for a service", "POST /auth/login", (CHUNKED,), chunked(BREAKS, MIB // 2), 413),
    Odd("line breaks of a user", CHUNK, ("{mine}", CHUNKED), chunked(BREAKS, MIB // 2), 411),
    Odd("chunks with extensions", "POST /nope", (CHUNKED,), chunked(ZEROS, 1024, b";a=b" * 64), 404),
    Odd("more extensions than bytes", "POST /nope", (CHUNKED,), chunked(ZEROS, 16, b";a=b" * 25), 404),
    Odd("a thousand segments", CHUNK, ("{mine}", LENGTH), ZEROS, 200, segments=1000),
]
# Five bytes of framing for each one of data: 175,000 chunks in 1 MiB, and the parser reports each of them.
# That cannot cost what one piece does; but whoever wants to burn CPU must gain nothing over small requests.
FRAMING = [
    Odd("chunks of one byte", "POST /nope", (CHUNKED,), chunked(ZEROS, 1), 404),
    Odd("chunks of one byte for a service", "POST /auth/login", (CHUNKED,), chunked(ZEROS, 1), 413),
]
SMALL = b"GET /nope HTTP/1.1\r\nHost: gateway\r\n\r\n"
SMALL_BYTES = MIB // 8
FRAMING_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway's processes: their address and what they have used."""

    address: tuple[str, int]
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """User and system time of all threads so far, by what clock_getcpuclockid(3) would name."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)

    def rested_cpu_s(self) -> float:
        """The same once nothing is left to do: what is read after the answer is paid for by who sent it."""
        used_s, quiet = self.cpu_s(), 0
        while quiet < QUIET_LOOKS:
            time.sleep(LOOK_S)
            before_s, used_s = used_s, self.cpu_s()
            quiet = quiet + 1 if used_s - before_s < LOOK_S / 10 else 0
        return used_s

    def status(self, head: bytes, body: bytes, segments: int = 1) -> int:
        """Send all of it, and read until the gateway has closed; 0 where no answer came through."""
        answer = b""
        with socket.create_connection(self.address, PATIENCE_S) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            step = -(-len(body) // segments)
            with suppress(ConnectionError):
                client.sendall(head)
                for at in range(0, len(body), step):
                    client.sendall(body[at : at + step])
            with suppress(ConnectionError):
                while piece := client.recv(65_536):
                    answer += piece
        return int(answer.split(b" ", 2)[1]) if answer else 0

    def many(self, head: bytes, body: bytes, status: int, segments: int = 1) -> float:
        """The CPU seconds that a few such requests cost; each must be answered with this status."""
        before_s = self.rested_cpu_s()
        found = [self.status(head, body, segments) for _ in range(BODIES)]
        assert found == [status] * BODIES
        return self.rested_cpu_s() - before_s


@pytest.fixture(scope="module")
def gateway(system: System) -> Gateway:
    url = urlsplit(system.gateway)
    assert url.hostname is not None
    assert url.port is not None
    rows = system.stack.rows()
    pids = tuple(row["pid"] for name, row in rows.items() if service_of(name) == "gateway")
    return Gateway((url.hostname, url.port), pids)


def head_of(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: gateway", "Connection: close", *headers, "", ""]).encode()


@pytest.fixture(scope="module")
async def mine(make_user: MakeUser) -> str:
    """The headers of a chunk that is accepted however often it comes: a resend of the upload's first half."""
    proxy = Proxy(MIB)
    upload = await start(proxy, await make_user(), ZEROS * 2)
    await proxy.chunk(upload, 0, ZEROS)
    return "\r\n".join(
        [
            f"Authorization: Bearer {upload.api.token}",
            f"Upload-UUID: {upload.uuid}",
            f"Checksum: {hashlib.sha256(ZEROS).hexdigest()}",
        ]
    )


async def in_turns(
    rounds: int, first: Callable[[], float], second: Callable[[], float]
) -> tuple[float, float]:
    """What each of them cost in all."""

    def run() -> tuple[float, float]:
        paid = [(first(), second()) for _ in range(rounds)]
        return sum(one for one, _ in paid), sum(other for _, other in paid)

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
async def test_an_odd_body_costs_little_more_than_an_ordinary_one(
    gateway: Gateway, mine: str, odd: Odd
) -> None:
    head = head_of(odd.line, *(one.format(mine=mine) for one in odd.head))
    odd_s, ordinary_s = await in_turns(
        ROUNDS,
        partial(gateway.many, head, odd.body, odd.status, odd.segments),
        partial(gateway.many, head_of(CHUNK, mine, LENGTH), ZEROS, 200),
    )
    assert odd_s <= TIMES_ORDINARY * ordinary_s


@pytest.mark.parametrize("odd", FRAMING, ids=lambda odd: odd.name)
async def test_framing_costs_no_more_than_an_eighth_of_its_bytes_in_small_requests(
    gateway: Gateway, odd: Odd
) -> None:
    last = head_of("GET /nope")
    odd_s, small_s = await in_turns(
        FRAMING_ROUNDS,
        partial(gateway.many, head_of(odd.line, *odd.head), odd.body, odd.status),
        partial(gateway.many, b"", SMALL * (SMALL_BYTES // len(SMALL)) + last, 404),
    )
    print("FRAMING", odd.name, odd_s / small_s, small_s / ROUNDS / BODIES)
    assert odd_s <= small_s


async def test_a_gateway_that_was_sent_line_breaks_for_seconds_is_ready_at_once(
    gateway: Gateway, anyone: Api
) -> None:
    until = time.monotonic() + ATTACK_S
    body = b"%x\r\n%s\r\n" % (len(BREAKS) // 4, BREAKS[: len(BREAKS) // 4])

    def attack() -> None:
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(gateway.address, ATTACK_S) as client:
                client.sendall(head_of("POST /nope", CHUNKED))
                for _ in range(4):
                    client.sendall(body)

    with ThreadPoolExecutor(ATTACKERS) as pool:
        for _ in range(ATTACKERS):
            pool.submit(attack)
        await asyncio.to_thread(pool.shutdown)
    before_s = gateway.cpu_s()
    await anyone.ok("GET", "/ready")
    # A second of the gateway's own time: another program on the machine is not its backlog.
    assert gateway.cpu_s() - before_s <= READY_S
