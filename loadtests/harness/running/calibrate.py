"""What the load generator can do by itself: each strategy's script against a sink that agrees to all.

A trial near that ceiling would measure the generator. The sink is a process beside k6 on the same
processors, as the system is, so on a shared machine the ceiling is a modest one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import cast

from loadtests.harness.auditing.ledger_console import read_console
from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Load, Outcome, Question, TrialPlan
from loadtests.harness.records.notes import Ceiling
from loadtests.harness.running import k6
from loadtests.harness.running.rig import Rig
from loadtests.harness.running.scripted import Scratch
from loadtests.harness.running.trial import piece_bytes, prepare

VUS = 32
WARMUP_S, WINDOW_S = 0.5, 2.0
LIMIT_S = 60.0


async def calibrate(rig: Rig, strategies: Sequence[Strategy], size_bytes: int) -> dict[str, dict[str, float]]:
    """The ceiling by strategy, as plain numbers for the manifest.

    A strategy whose script asks for what the sink does not know is left out; its trials lack this check.
    """
    found = {}
    for strategy in strategies:
        if rig.stop.is_set():
            break
        ceiling = await _measure(rig, strategy, size_bytes)
        rig.event("calibration", strategy=strategy.name, known=ceiling is not None)
        if ceiling is not None:
            found[strategy.name] = ceiling.model_dump()
    return found


async def _measure(rig: Rig, strategy: Strategy, size_bytes: int) -> Ceiling | None:
    plan = TrialPlan(
        trial=f"calibration-{strategy.name}",
        question=Question.CAPACITY,
        arm=strategy.name,
        file_size_bytes=size_bytes,
        load=Load(executor="constant-vus", vus=VUS, warmup_s=WARMUP_S, window_s=WINDOW_S),
        seed=0,
        level=f"{VUS} VU",
    )
    files, _ = await asyncio.to_thread(prepare, rig, plan, Scratch(rig.work_dir))
    async with sink(strategy.pieces(size_bytes)) as url:
        variables = k6.environment(
            plan, files, gateway_url=url, strategy=strategy, piece_bytes=piece_bytes(rig, plan),
            start_spread_s=0.0,
        )  # fmt: skip
        child = await k6.start_k6(rig.k6_program, files, variables, cores=rig.cores.generator)
        began = await child.wait_started(LIMIT_S)
        await child.wait_ended(LIMIT_S)
    console = read_console(files.console, plan.trial, [user.user_id for user in rig.identities])
    return ceiling_of(console.outcomes, began + WARMUP_S, size_bytes)


def ceiling_of(outcomes: Sequence[Outcome], window_start: float, size_bytes: int) -> Ceiling | None:
    """None when the script could not upload to the sink."""
    inside = [o for o in outcomes if window_start <= o.ended_at < window_start + WINDOW_S]
    acked = [outcome for outcome in inside if outcome.acked]
    if not acked or len(acked) < len(inside):
        return None
    floor_s = median(outcome.ended_at - outcome.started_at for outcome in acked)
    return Ceiling(file_size_bytes=size_bytes, uploads_per_s=len(acked) / WINDOW_S, floor_ms=floor_s * 1000)


@asynccontextmanager
async def sink(parts: int) -> AsyncIterator[str]:
    """The URL of a null sink that lives as long as the context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.harness.running.null_sink", "--parts", str(parts),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    stdin, stdout = cast(asyncio.StreamWriter, process.stdin), cast(asyncio.StreamReader, process.stdout)
    try:
        yield (await asyncio.wait_for(stdout.readline(), LIMIT_S)).decode().strip()
    finally:
        stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()
