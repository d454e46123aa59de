"""Bodies at once per user, and newcomers that take the place of the oldest send of a chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from services.kit.errors import Fault
from services.upload.senders import Senders

pytestmark = pytest.mark.unit
ONE, OTHER = UUID(int=1), UUID(int=2)


class Desk:
    """Sends that last until they are let go."""

    def __init__(self, limit: int, places: int) -> None:
        self.senders, self.go = Senders(limit, places), asyncio.Event()
        self.tasks: list[asyncio.Task[str]] = []

    async def send(self, user: UUID, chunk: Hashable = None) -> asyncio.Task[str]:
        async def run() -> str:
            try:
                with self.senders.sending(user, chunk):
                    await self.go.wait()
                return "sent"
            except Fault as fault:
                return f"{fault.status} {fault.headers.get('Retry-After')}"

        task = asyncio.create_task(run())
        self.tasks.append(task)
        await settled()
        return task


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def desk(limit: int = 128, places: int = 256) -> AsyncIterator[Desk]:
    made = Desk(limit, places)
    yield made
    made.go.set()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    assert made.senders.bodies == 0
    assert made.senders._by_chunk == {}


async def test_more_bodies_than_the_limit_are_refused_and_of_others_none() -> None:
    async with desk(limit=3) as made:
        for index in range(3):
            await made.send(ONE, index)
        assert await (await made.send(ONE, 3)) == "429 1"
        assert await (await made.send(ONE)) == "429 1"
        assert not (await made.send(OTHER, 0)).done()
        assert made.senders.bodies == 4


async def test_four_greedy_users_leave_places_for_a_fifth() -> None:
    async with desk(limit=128) as made:
        for number, share in enumerate((128, 64, 32, 16), start=1):
            tasks = [await made.send(UUID(int=number), index) for index in range(150)]
            assert [task.done() for task in tasks] == [False] * share + [True] * (150 - share)
            assert await tasks[-1] == "429 1"
        fifth = [await made.send(UUID(int=5), index) for index in range(8)]
        assert not any(task.done() for task in fifth)


async def test_who_sends_again_above_his_share_takes_the_place_of_the_lost_send() -> None:
    async with desk(places=20) as made:
        lost, *_ = [await made.send(ONE, index) for index in range(10)]
        assert await (await made.send(ONE, 10)) == "429 1"
        again = await made.send(ONE, 0)
        assert await lost == "408 None"
        assert not again.done()
        assert made.senders.bodies == 10


async def test_a_third_send_of_a_chunk_ends_the_oldest() -> None:
    async with desk() as made:
        first, second, _ = [await made.send(ONE, "chunk") for _ in range(3)]
        assert await first == "408 None"
        assert not second.done()
        await made.send(ONE, "chunk")
        assert await second == "408 None"
        assert made.senders.bodies == 2


async def test_the_same_chunk_of_another_user_is_another_chunk() -> None:
    async with desk() as made:
        tasks = [await made.send(user, "chunk") for user in (ONE, ONE, OTHER, OTHER)]
        assert not any(task.done() for task in tasks)


async def test_who_sends_again_at_the_limit_takes_the_place_of_the_lost_send() -> None:
    async with desk(limit=2) as made:
        lost = await made.send(ONE, "chunk")
        await made.send(ONE, "another")
        again = await made.send(ONE, "chunk")
        assert await lost == "408 None"
        assert not again.done()
        assert made.senders.bodies == 2


async def test_a_client_that_leaves_is_no_superseded_send() -> None:
    async with desk() as made:
        leaving = await made.send(ONE, "chunk")
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert made.senders.bodies == 0


async def test_one_that_leaves_and_is_superseded_at_once_ends_as_cancelled() -> None:
    async with desk() as made:
        leaving = await made.send(ONE, "chunk")
        await made.send(ONE, "chunk")
        leaving.cancel()
        await made.send(ONE, "chunk")
        with pytest.raises(asyncio.CancelledError):
            await leaving
