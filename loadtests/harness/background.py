"""What goes on beside a block and ends with it: tasks of ours, and programs that we started."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

ANSWER_TIMEOUT = aiohttp.ClientTimeout(total=5)
POLL_S = 0.05


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Some work goes on beside the block, and is left at its end; what it raised is raised then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def tasks(*works: Awaitable[Any]) -> AsyncIterator[Sequence[asyncio.Future[Any]]]:
    """Several at once, for the block to wait for; those that have not ended with it are left, and what they
    raise is nobody's business."""
    begun = [asyncio.ensure_future(work) for work in works]
    try:
        yield begun
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)


async def end(process: Process, limit_s: float, ask: signal.Signals | None = signal.SIGTERM) -> None:
    """End a program in order, and kill it where it takes longer. Without ``ask`` it knows that it is to end,
    by its input."""
    if process.returncode is None and ask is not None:
        process.send_signal(ask)
    try:
        await asyncio.wait_for(process.wait(), limit_s)
    except TimeoutError:
        process.kill()
        await process.wait()


async def answers(http: aiohttp.ClientSession, url: str, process: Process, limit_s: float) -> bool:
    """Wait until a program that was just started answers; false where it ends instead, or takes longer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while loop.time() < deadline and process.returncode is None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with http.get(url, timeout=ANSWER_TIMEOUT) as answer:
                if answer.status == 200:
                    return True
        await asyncio.sleep(POLL_S)
    return False


def free_port() -> int:
    """A port of this host that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
