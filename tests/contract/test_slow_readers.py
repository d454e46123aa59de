"""Clients that read slowly, but go on reading, get all of a file."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import aiohttp
import pytest
from yarl import URL

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.flows import MIB, Multipart
from tests.stack import running_system

pytestmark = pytest.mark.contract

STILL_S = 1  # what a client may take nothing for
# The kernels hold several MiB on the way, so to the services such a client stands still.
READ_S, READ_BYTES, READS = 0.25, 256 * 1024, 24
FILE_BYTES = 48 * MIB
SAFE_S = 60


async def test_a_slow_reader_gets_the_whole_file() -> None:
    with running_system(chosen={"BODY_IDLE_S": str(STILL_S)}) as system:
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            user = await _user(http, system.gateway)
            upload = await flows.run(Multipart(), user, bytes(FILE_BYTES))
        path = f"/api/files/f/{upload.uuid}/download?delivery=proxied"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n\r\n"
        assert await _read_slowly(URL(system.gateway), head.encode()) >= FILE_BYTES


async def _read_slowly(url: URL, request: bytes) -> int:
    """How many bytes came: slowly first, and then as fast as they can."""
    loop, received = asyncio.get_running_loop(), 0
    with socket.socket() as wire:
        wire.setblocking(False)
        await loop.sock_connect(wire, (url.host, url.port))
        await loop.sock_sendall(wire, request)
        async with asyncio.timeout(SAFE_S):
            for _ in range(READS):
                await asyncio.sleep(READ_S)
                received += len(await loop.sock_recv(wire, READ_BYTES))
            while received < FILE_BYTES and (data := await loop.sock_recv(wire, MIB)):
                received += len(data)
    return received


async def _user(http: aiohttp.ClientSession, gateway: str) -> Api:
    body = {"username": "slow", "email": "slow@reader.example", "password": "Test@1234"}
    async with http.post(f"{gateway}/auth/signup", json=body) as answer:
        token = (await answer.json())["token"]
    return Api(http, gateway, Counter(), token)
