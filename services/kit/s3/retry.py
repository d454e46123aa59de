"""Sending again what we still hold: at most 3 times, with growing and jittered pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.kit.s3.errors import UnavailableError

T = TypeVar("T")
ATTEMPTS = 3
FIRST_PAUSE_S = 0.05


class Retry:
    """Repeats a call on ``UnavailableError``; never on a refusal.

    Args:
        rng: jitter, half to one and a half of the pause.
        sleep: ``asyncio.sleep``, or a test's.
    """

    def __init__(self, rng: random.Random, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._rng, self._sleep = rng, sleep

    async def __call__(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """``attempt`` signs anew each time, because a signature holds the time."""
        for number in range(ATTEMPTS - 1):
            try:
                return await attempt()
            except UnavailableError:
                await self._sleep(FIRST_PAUSE_S * 2**number * self._rng.uniform(0.5, 1.5))
        return await attempt()
