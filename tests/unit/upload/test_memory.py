"""Memory that bodies share: who waits gets what others give back, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from services.kit.errors import Fault
from services.upload.body_modes.memory import Memory

pytestmark = pytest.mark.unit


async def test_who_waits_gets_what_is_given_back() -> None:
    memory = Memory(10)
    first, second = memory.held(), memory.held()
    await first.take(8)
    assert not second.fits(3)
    waiting = asyncio.create_task(second.take(3))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.give_back(1)
    await waiting
    assert memory.free_bytes == 0
    first.give_back()
    second.give_back()
    assert memory.free_bytes == 10


async def test_it_is_not_waited_for_ever() -> None:
    memory = Memory(10, wait_s=0.01)
    first, second = memory.held(), memory.held()
    await first.take(8)
    with pytest.raises(Fault) as caught:
        await second.take(3)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("overloaded", "1")
    second.give_back()
    assert memory.free_bytes == 2


async def test_nobody_is_served_twice_what_there_is() -> None:
    memory = Memory(10)
    holder, *waiting = (memory.held() for _ in range(4))
    await holder.take(10)
    tasks = [asyncio.create_task(one.take(4)) for one in waiting]
    await asyncio.sleep(0)
    holder.give_back()
    async with asyncio.timeout(30):
        done, still = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
    assert memory.free_bytes == 2
    for one, task in zip(waiting, tasks, strict=True):
        if task.done():
            one.give_back()
    await asyncio.gather(*tasks)
    assert len(done) + len(still) == 3
