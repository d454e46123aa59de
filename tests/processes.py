"""One process of ours, started by a test with the settings it wants to see in effect."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from compose import ports

ROOT = Path(__file__).resolve().parent.parent
START_S, STOP_S = 60.0, 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process that answers on ``url``; its admin port on ``admin_url``."""

    url: str
    admin_url: str
    pid: int


@asynccontextmanager
async def running_process(module: str, environment: Mapping[str, str]) -> AsyncIterator[Running]:
    """``python -m module`` with just these variables, from first ``/live`` to a clean end.

    Raises:
        AssertionError: it ended too early, or not with exit code 0.
    """
    port, admin_port = ports.free(2)
    env = {"PATH": os.environ["PATH"], "PORT": str(port), "ADMIN_PORT": str(admin_port), **environment}
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", module, cwd=ROOT, env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        await asyncio.wait_for(_alive(child, url), START_S)
        yield Running(url, f"http://127.0.0.1:{admin_port}", child.pid)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), STOP_S) == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _alive(child: asyncio.subprocess.Process, url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            assert child.returncode is None, f"ended with exit code {child.returncode}"
            try:
                async with session.get(f"{url}/live") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)  # a poll: there is no event to wait for
