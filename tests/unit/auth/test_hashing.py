"""The queue in front of the hashing threads."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from time import perf_counter

import pytest

from services.auth.hashing import HashPool
from services.kit.errors import Fault

pytestmark = pytest.mark.unit


def nothing() -> None:
    return None


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    def pass_by(self, seconds: float) -> None:
        self.at += seconds


class Gate:
    """Work that holds a thread until it is let go, and says that it ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.open = threading.Event()

    def work(self, name: str) -> str:
        assert self.open.wait(60)
        self.ran.append(name)
        return name


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_first_come_first_served_and_results_go_to_their_callers() -> None:
    pool, gate = HashPool(1, 10, perf_counter), Gate()
    tasks = [asyncio.create_task(pool.run(partial(gate.work, name), nothing)) for name in "abc"]
    await turns()
    assert pool.waiting == 2
    gate.open.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c"] == gate.ran
    pool.close()


async def test_one_more_than_fits_is_overloaded_at_once() -> None:
    pool, gate = HashPool(1, 2, perf_counter), Gate()
    tasks = [asyncio.create_task(pool.run(partial(gate.work, name), nothing)) for name in "abc"]
    await turns()
    with pytest.raises(Fault) as caught:
        await pool.run(lambda: gate.work("d"), nothing)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("overloaded", "1")
    gate.open.set()
    await asyncio.gather(*tasks)
    pool.refuse_when_full()
    assert gate.ran == ["a", "b", "c"]
    pool.close()


async def test_work_nobody_wants_any_more_is_not_done() -> None:
    pool, gate = HashPool(1, 10, perf_counter), Gate()

    def gone() -> None:
        raise ConnectionResetError

    first = asyncio.create_task(pool.run(lambda: gate.work("first"), nothing))
    left = asyncio.create_task(pool.run(lambda: gate.work("left"), gone))
    cancelled = asyncio.create_task(pool.run(lambda: gate.work("cancelled"), nothing))
    last = asyncio.create_task(pool.run(lambda: gate.work("last"), nothing))
    await turns()
    cancelled.cancel()
    gate.open.set()
    outcomes = await asyncio.gather(first, left, cancelled, last, return_exceptions=True)
    assert isinstance(outcomes[1], ConnectionResetError)
    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert gate.ran == ["first", "last"]
    assert pool.waiting == 0
    pool.close()


async def test_a_queue_that_would_take_too_long_is_refused() -> None:
    now = Clock()
    pool, gate = HashPool(1, 1000, now), Gate()
    gate.open.set()
    await pool.run(partial(now.pass_by, 60.0), nothing)  # now a hash is known to take 12 s on average
    gate.open.clear()
    tasks = [asyncio.create_task(pool.run(partial(gate.work, "x"), nothing)) for _ in range(2)]
    await turns()
    with pytest.raises(Fault, match="overloaded"):
        pool.refuse_when_full()
    now.pass_by(11.0)
    gate.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == "x"
    assert isinstance(outcomes[1], Fault)  # it had waited longer than promised
    pool.close()


async def test_a_fault_of_the_work_reaches_its_caller_and_frees_the_thread() -> None:
    pool = HashPool(1, 1, perf_counter)

    def broken() -> None:
        raise ValueError("damaged")

    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"):
            await pool.run(broken, nothing)
    pool.close()
