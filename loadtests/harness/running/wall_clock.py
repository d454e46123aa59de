"""A clock that is set while a run goes on.

Turns, logs and samples of several processes are put together by the time of day. When that jumps, by hand, by
a first synchronisation, or because the machine slept, nothing of before and after fits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from loadtests.harness.background import beside
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity

LOOK_S = 0.5
STEP_S = 0.5  # a clock that is only slowed or hurried moves a thousand times less in that time


def sentence(step_s: float) -> str:
    """What to tell people about a step; negative when the clock was set back."""
    if step_s < 0:
        return f"The clock of this machine was set back by {-step_s:.1f} s."
    return f"The clock of this machine was set forward by {step_s:.1f} s, or the machine slept."


def warning(step_s: float) -> Warn:
    return Warn(
        code="clock-step",
        severity=Severity.INVALID,
        message=f"{sentence(step_s)} What was measured before and after does not fit together",
        metric="step of the clock, s",
        value=round(step_s, 1),
        limit=STEP_S,
        advice="run it again once the clock is steady",
    )


@asynccontextmanager
async def watching_the_clock(
    found: Callable[[float], None],
    *,
    of_day: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Tells ``found`` of the first step, in seconds, while the block runs; it should end the run in order."""

    async def look() -> None:
        before = of_day() - steady()
        while abs(step_s := of_day() - steady() - before) < STEP_S:
            await sleep(LOOK_S)
        found(step_s)

    async with beside(look()):
        yield
