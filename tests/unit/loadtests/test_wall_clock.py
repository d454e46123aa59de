"""A clock that is set in the middle ends a run in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from loadtests.harness.records.vocabulary import Severity
from loadtests.harness.running import wall_clock

pytestmark = pytest.mark.unit


async def steps(of_day: list[float]) -> list[float]:
    """What is told of a clock with these readings, one look each."""
    readings: Iterator[float] = iter(of_day)
    steady, found, over = iter(range(len(of_day))), list[float](), asyncio.Event()
    left = len(of_day) - 1

    async def sleep(_: float) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            over.set()
            await asyncio.Event().wait()

    def told(step_s: float) -> None:
        found.append(step_s)
        over.set()

    async with wall_clock.watching_the_clock(
        told, of_day=lambda: next(readings), steady=lambda: float(next(steady)), sleep=sleep
    ):
        await over.wait()
    return found


async def test_one_that_is_set_is_told_once() -> None:
    assert await steps([1000.0, 1001.0, 1002.0, -2597.0, -2596.0]) == [-3600.0]
    assert await steps([1000.0, 1001.0, 1062.0]) == [60.0]


async def test_one_that_is_only_hurried_is_not() -> None:
    assert await steps([1000.0, 1001.0005, 1002.001, 1003.0015]) == []


def test_the_sentence_says_which_way() -> None:
    assert wall_clock.sentence(-3600) == "The clock of this machine was set back by 3600.0 s."
    assert "set forward by 60.0 s, or the machine slept" in wall_clock.sentence(60)
    assert wall_clock.warning(-1).severity is Severity.INVALID
