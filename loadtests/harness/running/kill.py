"""A planned kill: all processes of one arm's upload service end in mid-load, with SIGKILL.

The supervisor of the stack starts them again, as it does whenever a process dies; the load goes on meanwhile.
Only stacks that the run started itself are touched: nobody's running testbed, and no containers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import KILL, RECOVERED
from loadtests.harness.running.rig import Hold, Rig
from loadtests.harness.testbeds.system import System
from loadtests.harness.testbeds.testbed import Testbed, TestbedRefused

SERVICE = "upload"
RECOVERY_LIMIT_S = 60.0
POLL_S = 0.05

Lives = Mapping[str, tuple[int, int]]  # pid and start time, by part


async def kill_in(rig: Rig, stack: str, stretch: Stretch, after_s: float) -> bool:
    """Kill the service ``after_s`` after the stretch's first period began, and wait until it serves again.

    False where the run was asked to end before: nobody was killed then. Raises ``TestbedRefused``.
    """
    hold = rig.holds[stack]
    system = own_system(stack, hold)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(rig.stop.wait(), max(0.0, stretch.t0 + after_s - time.time()))
        return False
    parts = system.parts(SERVICE)
    before = await _lives(hold.testbed, parts)
    with rig.activity.fault("killed", SERVICE):
        await asyncio.gather(*(hold.testbed.act("kill", part) for part in parts))
        # Afterwards: whatever was acknowledged later than this was acknowledged by the next life.
        rig.event(KILL, stretch=stretch.stretch, stack=stack, service=SERVICE, parts=parts)
        await _serve_again(hold.testbed, before)
    rig.event(RECOVERED, stretch=stretch.stretch, stack=stack)
    await rig.pin()
    return True


def own_system(stack: str, hold: Hold) -> System:
    """The stack, if this run started it. Raises ``TestbedRefused``."""
    if not stack or hold.system is None or hold.system.project is not None:
        raise TestbedRefused("only processes of stacks that the run started itself are killed")
    return hold.system


async def _lives(testbed: Testbed, parts: list[str]) -> Lives:
    """Which processes there are now. Raises ``TestbedRefused`` where one is missing."""
    found = {one.name: (one.pid, one.start_ticks) for one in await testbed.watched()}
    if missing := [part for part in parts if part not in found]:
        raise TestbedRefused(f"{', '.join(missing)} was to be killed and did not run")
    return {part: found[part] for part in parts}


async def _serve_again(testbed: Testbed, before: Lives) -> None:
    """Wait for other processes in the place of these, all healthy. Raises ``TestbedRefused``."""
    try:
        async with asyncio.timeout(RECOVERY_LIMIT_S):
            while not await _all_anew(testbed, before):  # noqa: ASYNC110  (another process's state, no event)
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TestbedRefused(
            f"{', '.join(before)} did not serve again within {RECOVERY_LIMIT_S:.0f} s after the kill"
        ) from None


async def _all_anew(testbed: Testbed, before: Lives) -> bool:
    states = await testbed.parts()
    now = {one.name: (one.pid, one.start_ticks) for one in await testbed.watched()}
    return all(
        states[part].state == "healthy" and now.get(part, life) != life for part, life in before.items()
    )
