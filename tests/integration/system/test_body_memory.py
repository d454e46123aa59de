"""What the upload service holds in memory of files that pass it: in two body modes next to nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import PASSWORD
from tests.contract.flows import MIB
from tests.stack import System

pytestmark = pytest.mark.integration

FILES, SIZE = 16, 16 * MIB
GROWTH = 64 * MIB  # a quarter of the bytes that are on their way at once


class Peak:
    """The largest resident memory of a process since it was asked to forget."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)

    def forget(self) -> int:
        """What it is now, in bytes."""
        (self._folder / "clear_refs").write_text("5", encoding="ascii")
        return self.bytes()

    def bytes(self) -> int:
        lines = (self._folder / "status").read_text(encoding="ascii").splitlines()
        (line,) = [line for line in lines if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024


@pytest.fixture
async def user(system: System, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    name = f"memory-{request.node.name[-12:-1]}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        anyone = Api(session, system.gateway, Counter())
        body = {"username": name, "email": f"{name}@memory.example", "password": PASSWORD}
        token = (await anyone.ok("POST", "/auth/signup", json=body))["token"]
        yield Api(session, system.gateway, Counter(), token, body["email"])


@pytest.mark.parametrize("mode", ["streamed", "spooled"])
async def test_many_files_at_once(system: System, user: Api, mode: str) -> None:
    data = flows.payload(SIZE)
    peak = Peak(int(system.stack.rows()["upload"]["pid"]))

    async def send() -> None:
        given = {"data": data, "headers": {"X-File-Name": "a.bin"}}
        made = await user.ok("POST", "/api/upload/file", 201, params={"mode": mode}, **given)
        assert made["size_bytes"] == SIZE

    await send()
    before = peak.forget()
    await asyncio.gather(*(send() for _ in range(FILES)))
    assert peak.bytes() - before < GROWTH
