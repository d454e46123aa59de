"""What one account with slow bodies costs the others: quiet and disturbed uploads in turns.

    python -m loadtests.microbench.slow_senders    (ROUNDS, UPLOADS, SENDERS, GATEWAY_URL by environment)

A disturbed block runs beside SENDERS senders of one account: each sends the beginning of a chunk of its own
and then just more than the least rate; one that is refused comes again when it was told to. Printed are the
median and p95 of 1 MiB uploads of others, from session to durable, and the ratio of the p95.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from yarl import URL

from loadtests.harness.clients.users import Identity, sign_up

MIB = 1024 * 1024
CLIENTS = 2  # of the others, at once
BURST_BYTES, TRICKLE_BYTES, TRICKLE_S = 66 * 1024, 2_048, 1.0
RETRY_S = 1.0
SESSION, CHUNK = "/api/upload/proxy/session", "/api/upload/proxy/chunk"


async def open_session(http: aiohttp.ClientSession, base: str, who: Identity, size_bytes: int) -> str:
    body = {"file_name": "microbench.bin", "file_size_bytes": size_bytes}
    async with http.post(base + SESSION, json=body, headers=who.headers) as answer:
        answer.raise_for_status()
        uuid: str = (await answer.json())["upload_uuid"]
    return uuid


async def upload(http: aiohttp.ClientSession, base: str, who: Identity, data: bytes) -> float:
    """Seconds from the session to durable."""
    began = time.perf_counter()
    uuid = await open_session(http, base, who, len(data))
    headers = who.headers | {"Upload-UUID": uuid}
    async with http.post(f"{base}{CHUNK}?id=0", data=data, headers=headers) as answer:
        answer.raise_for_status()
        await answer.read()
    return time.perf_counter() - began


async def block(http: aiohttp.ClientSession, base: str, who: Identity, uploads: int) -> list[float]:
    """The seconds of so many uploads, CLIENTS at once."""
    data, took = secrets.token_bytes(MIB), list[float]()

    async def client() -> None:
        for _ in range(uploads // CLIENTS):
            took.append(await upload(http, base, who, data))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return took


async def send_slowly(base: URL, token: str, uuid: str, index: int) -> None:
    head = (
        f"POST {CHUNK}?id={index} HTTP/1.1\r\nHost: {base.authority}\r\nAuthorization: Bearer {token}\r\n"
        f"Upload-UUID: {uuid}\r\nContent-Length: {8 * MIB}\r\n\r\n"
    )
    while True:
        reader, writer = await asyncio.open_connection(base.host, base.port)
        try:
            writer.write(head.encode() + bytes(BURST_BYTES))
            answer = asyncio.ensure_future(reader.read(1))
            while not answer.done():
                await asyncio.wait([answer], timeout=TRICKLE_S)
                writer.write(bytes(TRICKLE_BYTES))
            answer.exception()
        finally:
            writer.transport.abort()
        await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def disturbed(http: aiohttp.ClientSession, base: str, count: int) -> AsyncIterator[None]:
    """One account sends slowly while the block runs."""
    who = await sign_up(http, base, f"slow-{secrets.token_hex(4)}")
    uuid = await open_session(http, base, who, 4096 * MIB)
    senders = [asyncio.create_task(send_slowly(URL(base), who.token, uuid, index)) for index in range(count)]
    await asyncio.sleep(2 * TRICKLE_S)  # all have come once
    try:
        yield
    finally:
        for sender in senders:
            sender.cancel()
        with suppress(OSError):
            await asyncio.gather(*senders, return_exceptions=True)


def described(name: str, took: list[float]) -> float:
    """Prints one line; the p95 in seconds."""
    p95 = statistics.quantiles(took, n=20)[-1]
    median = statistics.median(took)
    sys.stdout.write(
        f"{name:<10} {len(took):5d} uploads  p50 {median * 1e3:6.1f} ms  p95 {p95 * 1e3:6.1f} ms\n"
    )
    return p95


async def main() -> None:
    """Process edge."""
    base = os.environ.get("GATEWAY_URL", "http://127.0.0.1:9000")
    rounds, uploads, count = (
        int(os.environ.get(name, usual))
        for name, usual in (("ROUNDS", "5"), ("UPLOADS", "100"), ("SENDERS", "256"))
    )
    quiet, busy, ratios = list[float](), list[float](), list[float]()
    async with aiohttp.ClientSession() as http:
        who = await sign_up(http, base, f"others-{secrets.token_hex(4)}")
        await block(http, base, who, uploads)  # warm
        for number in range(1, rounds + 1):
            alone = await block(http, base, who, uploads)
            async with disturbed(http, base, count):
                beside = await block(http, base, who, uploads)
            ratios.append(described(f"beside {number}", beside) / described(f"alone {number}", alone))
            quiet += alone
            busy += beside
    ratio = described("beside", busy) / described("alone", quiet)
    shown = ", ".join(f"{one:.2f}" for one in ratios)
    sys.stdout.write(f"p95 of others beside {count} slow senders: {ratio:.2f} times (rounds: {shown})\n")


if __name__ == "__main__":
    asyncio.run(main())
