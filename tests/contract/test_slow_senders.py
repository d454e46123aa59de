"""Accounts with hundreds of bodies that hardly move: what they get, and that others notice nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession
from yarl import URL

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import MIB, Multipart, Proxy, Single
from tests.stack import System

pytestmark = pytest.mark.contract

SENDERS, PER_USER, PER_CHUNK = 260, 128, 2
SHARES = (128, 64, 32, 16)  # of 256 places, of accounts that come one after the other
SENT_BYTES = 128 * 1024  # so much that each would hold a connection to the store
SAFE_S = 30.0


@dataclass(slots=True)
class Slow:
    """Senders of chunks who stop in the middle, and the answers that some of them got."""

    api: Api
    upload: str
    wires: list[asyncio.StreamWriter] = field(default_factory=list)
    readers: list[asyncio.Task[bytes]] = field(default_factory=list)

    async def send(self, index: int) -> None:
        url = URL(self.api.base)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = (
            f"POST /api/upload/proxy/chunk?id={index} HTTP/1.1\r\nHost: x\r\nUpload-UUID: {self.upload}\r\n"
            f"Authorization: Bearer {self.api.token}\r\nContent-Length: {MIB}\r\n\r\n"
        )
        writer.write(head.encode() + bytes(SENT_BYTES))
        self.wires.append(writer)
        self.readers.append(asyncio.create_task(reader.read(65_536)))

    async def answered(self, count: int) -> Counter[bytes]:
        """Statuses, once so many have an answer; the others still hang."""
        async with asyncio.timeout(SAFE_S):
            while sum(one.done() for one in self.readers) < count:
                await asyncio.wait(
                    [one for one in self.readers if not one.done()], return_when=asyncio.FIRST_COMPLETED
                )
        return Counter(one.result()[9:12] for one in self.readers if one.done())


@asynccontextmanager
async def slow(api: Api) -> AsyncIterator[Slow]:
    body = {"file_name": "slow.bin", "file_size_bytes": 1024 * MIB}
    facts = await api.ok("POST", "/api/upload/proxy/session", json=body)
    made = Slow(api, facts["upload_uuid"])
    try:
        yield made
    finally:
        for writer in made.wires:
            writer.transport.abort()
        await asyncio.gather(*made.readers, return_exceptions=True)
        await api.ok("DELETE", f"/api/upload/session/{made.upload}", 204)


async def received(system: System, http: ClientSession) -> int:
    """Bodies that the upload service is receiving now."""
    async with http.get(f"{system.admin('upload')}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return int(float(next(line for line in lines if line.startswith("upload_bodies ")).split()[1]))


async def test_others_upload_while_one_account_hangs(
    user: Api, make_user: MakeUser, system: System, http: ClientSession
) -> None:
    async with slow(user) as senders:
        for index in range(SENDERS):
            await senders.send(index)
        assert await senders.answered(SENDERS - PER_USER) == {b"429": SENDERS - PER_USER}
        assert await received(system, http) == PER_USER
        refused = next(one.result() for one in senders.readers if one.done())
        assert b"\r\nRetry-After: 1\r\n" in refused
        assert b'"too_many_open_uploads"' in refused

        other = await make_user()
        for strategy in (Proxy(), Proxy(5 * MIB), Multipart(), Single()):
            await flows.run(strategy, other, bytes(11 * MIB))
        await flows.run(Proxy(), other, bytes(MIB))
        for path in ("/ready", "/api/upload/ready", "/api/files/ready"):
            await other.ok("GET", path)
        assert len([one for one in senders.readers if not one.done()]) == PER_USER

        again = await user.post(
            "/api/upload/proxy/chunk",
            params={"id": 0},
            data=bytes(MIB),
            headers={"Upload-UUID": senders.upload},
        )
        assert again.status == 200  # who sends again is never refused
    async with asyncio.timeout(SAFE_S):
        while await received(system, http):
            await asyncio.sleep(0.02)


async def test_a_fifth_account_uploads_while_four_hang(
    make_user: MakeUser, system: System, http: ClientSession
) -> None:
    async with AsyncExitStack() as stack:
        for number, share in enumerate(SHARES):
            senders = await stack.enter_async_context(slow(await make_user()))
            for index in range(SENDERS):
                await senders.send(index)
            refused = await senders.answered(SENDERS - share)
            assert set(refused) <= {b"429", b"503"}  # by the upload service, or by the gateway
            assert sum(refused.values()) == SENDERS - share
            assert await received(system, http) == sum(SHARES[: number + 1])
        fifth = await make_user()
        for strategy in (Proxy(), Proxy(5 * MIB), Multipart(), Single()):
            await flows.run(strategy, fifth, bytes(11 * MIB))
        file = await fifth.ok(
            "POST", "/api/upload/file", 201, data=bytes(MIB), headers={"X-File-Name": "fifth.bin"}
        )
        assert file["size_bytes"] == MIB
        assert await received(system, http) == sum(SHARES)
    async with asyncio.timeout(SAFE_S):
        while await received(system, http):
            await asyncio.sleep(0.02)


async def test_of_one_chunk_the_newest_two_sends_stay(user: Api) -> None:
    async with slow(user) as senders:
        for _ in range(SENDERS):
            await senders.send(0)
        assert await senders.answered(SENDERS - PER_CHUNK) == {b"408": SENDERS - PER_CHUNK}
        again = await user.post(
            "/api/upload/proxy/chunk",
            params={"id": 0},
            data=bytes(MIB),
            headers={"Upload-UUID": senders.upload},
        )
        assert (again.status, again.json["received_bytes"]) == (200, MIB)
