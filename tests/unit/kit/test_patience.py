"""How long a task may wait, also in a process that stood still itself."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from services.kit.patience import Ended, Patience

pytestmark = pytest.mark.unit
LIMIT_S = 0.1


async def read(reader: asyncio.StreamReader) -> bytes | Ended | None:
    """What came; or why it was not waited for any longer."""
    patience = Patience(LIMIT_S)
    patience.begin()
    try:
        return await reader.read(100)
    except asyncio.CancelledError:
        return patience.broken_off()
    finally:
        patience.close()


async def test_what_comes_while_this_process_stands_still_came_in_time() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    with theirs:
        reading = asyncio.create_task(read(reader))
        await asyncio.sleep(0)
        theirs.send(b"here")
        time.sleep(3 * LIMIT_S)  # noqa: ASYNC251  # nothing in this process goes on, as when it is stopped
        assert await reading == b"here"
        assert await asyncio.create_task(read(reader)) is Ended.TOO_LATE
    writer.close()
    await writer.wait_closed()
