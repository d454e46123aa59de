"""10,000 requests of every kind, good, odd and broken, leave no task, descriptor or connection behind.

Connections between processes are kept for reuse, as many as were once in use at the same time. So the
count before is taken after a warm-up with more requests at once than follow, and a pool may still have
grown by a few. What a kind of request leaves behind would be hundreds: there are 170 of the rarest.
"""

from __future__ import annotations

import asyncio
import io
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from tests.adversity.bench import Bench, until
from tests.contract.api import streamed
from tests.stack import PYTHON_PARTS, System

pytestmark = [pytest.mark.adversity, pytest.mark.timeout(600)]

SEED = 7
WARM_UP, WARM_UP_AT_ONCE = 2_000, 96
REQUESTS, AT_ONCE = 10_000, 48
QUIET_S = 30.0
SLACK = 12
DATABASES = ("auth", "upload", "files")
Kind = Callable[["Visitor", random.Random], Awaitable[None]]


@dataclass(slots=True)
class Visitor:
    """One user with one finished file, who asks all sorts of things."""

    http: aiohttp.ClientSession
    gateway: str
    token: str
    file_id: str
    seen: Counter[int]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        signed: bool = True,
        headers: Mapping[str, str] | None = None,
        data: bytes | io.BytesIO | None = None,
    ) -> bytes:
        sent = {"Authorization": f"Bearer {self.token}"} if signed else {}
        sent |= headers or {}
        async with self.http.request(method, self.gateway + path, headers=sent, data=data) as answer:
            body = await answer.read()
            self.seen[answer.status] += 1
            return body

    async def raw(self, text: bytes, *, answered: bool = True) -> None:
        """Bytes on a connection of their own; hang up after the answer, or without waiting for one."""
        where = urlsplit(self.gateway)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(text)
        with suppress(OSError, TimeoutError):
            await writer.drain()
            if answered:
                await asyncio.wait_for(reader.read(256), 5)
        writer.transport.abort()
        self.seen[0] += 1


async def ping(who: Visitor, rng: random.Random) -> None:
    await who.ask("GET", rng.choice(("/ping", "/live", "/ready", "/health", "/auth/ping", "/api/files/ping")))


async def lists(who: Visitor, rng: random.Random) -> None:
    query = rng.choice(
        ("", "?size=1", "?sort=name", "?size=0", "?cursor=%00", "?nonsense=1", "?source=s3&size=5")
    )
    await who.ask("GET", f"/api/files/me/{rng.choice(('owned', 'shared', 'shortcuts'))}{query}")


async def one_file(who: Visitor, rng: random.Random) -> None:
    file_id = rng.choice((who.file_id, "00000000-0000-4000-8000-000000000000", "no-uuid", "%2e%2e"))
    await who.ask(rng.choice(("GET", "HEAD")), f"/api/files/f/{file_id}", signed=rng.random() < 0.7)


async def download(who: Visitor, rng: random.Random) -> None:
    ranges = rng.choice(({}, {"Range": "bytes=0-9"}, {"Range": "bytes=999999-"}, {"Range": "bytes=x"}))
    await who.ask("GET", f"/api/files/f/{who.file_id}/download?delivery=proxied", headers=ranges)


async def half_a_download(who: Visitor, rng: random.Random) -> None:
    head = f"GET /api/files/f/{who.file_id}/download?delivery=proxied HTTP/1.1\r\nHost: x\r\n"
    await who.raw(f"{head}Authorization: Bearer {who.token}\r\n\r\n".encode(), answered=rng.random() < 0.5)


async def no_such_thing(who: Visitor, rng: random.Random) -> None:
    method = rng.choice(("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "POST"))
    await who.ask(
        method, rng.choice(("/", "/nowhere", "/api/upload/proxy/chunk", "/auth/login", "/internal/file"))
    )


async def bad_token(who: Visitor, rng: random.Random) -> None:
    token = rng.choice(("", "Bearer", "Bearer x.y.z", f"Bearer {who.token}x", f"Basic {who.token}"))
    await who.ask("GET", "/api/files/me/owned", signed=False, headers={"Authorization": token})


async def bad_json(who: Visitor, rng: random.Random) -> None:
    path = rng.choice(("/api/upload/proxy/session", "/api/upload/multipart/part", "/auth/login"))
    body = rng.choice((b"", b"{", b"[]", b"null", b'{"a":1}', b"\xff\xfe", b'{"file_name":' + b"[" * 500))
    await who.ask("POST", path, data=body, headers={"Content-Type": "application/json"})


async def session(who: Visitor, rng: random.Random) -> None:
    """Opened and taken back."""
    kind = rng.choice(("proxy", "multipart", "single"))
    facts = {"file_name": "x.bin", "file_size_bytes": rng.randint(1, 9), "part_size_bytes": 9}
    async with who.http.post(
        f"{who.gateway}/api/upload/{kind}/session",
        json=facts,
        headers={"Authorization": f"Bearer {who.token}"},
    ) as answer:
        upload = (await answer.json()).get("upload_uuid", "x")
    await who.ask("GET", f"/api/upload/status?upload_uuid={upload}")
    await who.ask("DELETE", f"/api/upload/session/{upload}")


async def upload(who: Visitor, rng: random.Random) -> None:
    """A small file, by one chunk, then deleted; its checksum is sometimes wrong."""
    body = rng.randbytes(rng.randint(1, 2_000))
    async with who.http.post(
        f"{who.gateway}/api/upload/proxy/session",
        json={"file_name": "y.bin", "file_size_bytes": len(body)},
        headers={"Authorization": f"Bearer {who.token}"},
    ) as answer:
        found = (await answer.json()).get("upload_uuid", "x")
    digest = sha256(body).hexdigest() if rng.random() < 0.8 else "0" * 64
    headers = {"Upload-UUID": found, "Checksum": digest}
    await who.ask("POST", "/api/upload/proxy/chunk?id=0", data=streamed(body), headers=headers)
    await who.ask("DELETE", f"/api/files/f/{found}")
    await who.ask("DELETE", f"/api/upload/session/{found}")


async def half_a_chunk(who: Visitor, rng: random.Random) -> None:
    """A body that breaks off, of an upload that may not even exist."""
    head = (
        f"POST /api/upload/proxy/chunk?id=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {who.token}\r\n"
        f"Upload-UUID: {who.file_id}\r\nContent-Length: 70000\r\n\r\n"
    )
    await who.raw(head.encode() + bytes(rng.randint(0, 60_000)), answered=False)


async def half_a_head(who: Visitor, rng: random.Random) -> None:
    text = b"GET /api/files/me/owned HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 300
    await who.raw(text[: rng.randrange(len(text))], answered=False)


async def no_http(who: Visitor, rng: random.Random) -> None:
    text = rng.choice((b"\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"NONSENSE / HTTP/9.9\r\n\r\n"))
    await who.raw(text + rng.randbytes(20) + b"\r\n\r\n")


async def bad_framing(who: Visitor, rng: random.Random) -> None:
    lengths = rng.choice(
        ("Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: chunked\r\nContent-Length: 5")
    )
    text = f"POST /auth/login HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\nhello"
    await who.raw(text.encode())


async def leaves_at_once(who: Visitor, rng: random.Random) -> None:
    """The request is whole, its sender does not wait."""
    path = rng.choice(("/api/files/me/owned", "/ping", "/api/files/health/detailed"))
    text = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {who.token}\r\n\r\n"
    await who.raw(text.encode(), answered=False)


KINDS: Mapping[Kind, int] = {
    ping: 20, lists: 12, one_file: 14, download: 6, half_a_download: 4, no_such_thing: 12, bad_token: 10,
    bad_json: 8, session: 2, upload: 2, half_a_chunk: 4, half_a_head: 4, no_http: 4, bad_framing: 4,
    leaves_at_once: 6,
}  # fmt: skip


@pytest.fixture
async def visitor(bench: Bench) -> AsyncIterator[Visitor]:
    client = await bench.client(300_000)
    row = bench.row(client)
    assert await client.upload("proxy-chunked", row)
    found = await bench.databases.files.fetchval(
        "SELECT file_uuid FROM files WHERE user_id = $1", client.identity.user_id
    )
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as http:
        yield Visitor(http, bench.system.gateway, client.identity.token, str(found), Counter())


@pytest.mark.noisy
async def test_ten_thousand_mixed_requests(bench: Bench, visitor: Visitor) -> None:
    rng = random.Random(SEED)
    await visit(visitor, rng, WARM_UP, WARM_UP_AT_ONCE)
    before = await settled(bench.system)
    began = time.monotonic()
    await visit(visitor, rng, REQUESTS, AT_ONCE)
    took_s = time.monotonic() - began
    left: dict[str, tuple[int, int]] = {}

    async def nothing_more_than_before() -> bool:
        nonlocal left
        after = await counted(bench.system)
        more = {name: count for name, count in after.items() if count > before.get(name, 0) + SLACK}
        left = {name: (before.get(name, 0), count) for name, count in more.items()}
        return not left

    with suppress(AssertionError):
        await until(nothing_more_than_before, QUIET_S)
    assert left == {}, f"more than before, after {REQUESTS} requests in {took_s:.0f} s: {left}"
    assert sum(visitor.seen.values()) >= WARM_UP + REQUESTS
    assert {200, 204, 400, 401, 404, 405, 416, 422} <= set(visitor.seen), visitor.seen
    assert not {status for status in visitor.seen if status >= 500 and status != 503}, visitor.seen


async def visit(who: Visitor, rng: random.Random, count: int, at_once: int) -> None:
    kinds, weights = tuple(KINDS), tuple(KINDS.values())
    todo = iter([(kind, random.Random(rng.getrandbits(32))) for kind in rng.choices(kinds, weights, k=count)])

    async def worker() -> None:
        for kind, own in todo:
            try:
                await kind(who, own)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                who.seen[0] += 1  # refused in the middle of a body, and hung up on

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def settled(system: System) -> dict[str, int]:
    """The counts once nothing is being served any more: three equal looks."""
    looks: list[dict[str, int]] = []

    async def still() -> bool:
        looks.append(await counted(system))
        await asyncio.sleep(0.5)
        return len(looks) > 2 and looks[-1] == looks[-2] == looks[-3]

    with suppress(AssertionError):
        await until(still, 10)
    return looks[-1]


async def counted(system: System) -> dict[str, int]:
    """Tasks, descriptors and connections of each process, and what the servers behind them count."""
    found: dict[str, int] = {}
    rows = await asyncio.to_thread(system.stack.rows)
    ports = {int(system.stack.env["S3_PORT"]): "store"}
    async with aiohttp.ClientSession() as http:
        for part in PYTHON_PARTS:
            async with http.get(f"{system.admin(part)}/metrics") as answer:
                text = await answer.text()
            tasks = re.search(r"^asyncio_tasks(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.MULTILINE)
            assert tasks is not None, f"{part} counts no tasks"
            found[f"{part} tasks"] = int(float(tasks[1]))
            sockets = descriptors(rows[part]["pid"])
            found[f"{part} descriptors"] = sockets["all"]
            found[f"{part} sockets"] = sockets["socket"]
    for port, name in ports.items():
        found[f"{name} connections"] = connections_to(port)
    for name in DATABASES:
        connection = await asyncpg.connect(system.database_url(name))
        try:
            count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            found[f"{name}_db backends"] = await connection.fetchval(count)
        finally:
            await connection.close()
    return found


def descriptors(pid: int) -> Counter[str]:
    kinds = Counter[str]()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            kinds["all"] += 1
            kinds[str(link.readlink()).split(":")[0]] += 1
    return kinds


def connections_to(port: int) -> int:
    """Established connections whose other end is this port of ours."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(one[3] == "01" and int(one[2].rpartition(":")[2], 16) == port for one in fields)
