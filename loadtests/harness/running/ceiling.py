"""What the load generator can do by itself: each arm's script against a sink that agrees to all.

A comparison near that ceiling would measure the generator. The sink is a process beside k6 on the same
processors, as the system is, so on a shared machine the ceiling is a modest one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import cast

from loadtests.harness import background
from loadtests.harness.clients.strategies import Strategy
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.console import Played, by_stack, read_tail
from loadtests.harness.k6.rows import Rows
from loadtests.harness.load import Files, Workers, open_load
from loadtests.harness.records.plan import Arm, Part, PartKind, Stretch
from loadtests.harness.records.samples import Ceiling, Outcome

PERIOD_S, WASHOUT_S = 2.5, 0.5
VUS = 16  # where an arm's arrivals are open
LIMIT_S, END_LIMIT_S = 60.0, 5.0
NOBODY = Identity("00000000-0000-4000-8000-000000000000", "", "", "none")  # the sink asks for no name


async def measure_ceilings(
    program: Path,
    arms: Sequence[Arm],
    strategies: Mapping[str, Strategy],
    folder: Path,
    *,
    cores: frozenset[int] | None = None,
) -> dict[str, Ceiling]:
    """The ceiling by strategy: 2.5 s for each, and the start of one k6, ``program``, in ``folder``.

    A strategy whose script asks for what the sink does not know is left out; its arms lack this check, and so
    do those that download: the sink has no files.
    """
    first = {arm.strategy: arm for arm in reversed(arms) if arm.strategy and not arm.download}
    asked = {
        name: arm.model_copy(update={"name": name, "stack": name, "vus": arm.vus or VUS, "rate_per_s": None})
        for name, arm in first.items()
    }
    if not asked:
        return {}
    files, rows = Files.within(folder / "ceiling"), Rows("ceiling")
    try:
        stretch = await _play(program, asked, strategies, files, rows=rows, cores=cores)
    finally:
        rows.close()
    names = tuple(asked)
    played = Played(stretch.stretch, names, names, tuple([NOBODY.user_id] for _ in names))
    lines = by_stack(read_tail(files.console)[0], {1: played})
    found = {
        name: ceiling_of(lines[name].outcomes, stretch.counted(at), asked[name].file_size_bytes)
        for at, name in enumerate(names)
    }
    return {name: ceiling for name, ceiling in found.items() if ceiling is not None}


async def _play(
    program: Path,
    asked: Mapping[str, Arm],
    strategies: Mapping[str, Strategy],
    files: Files,
    *,
    rows: Rows,
    cores: frozenset[int] | None,
) -> Stretch:
    """One turn for each arm, each against a sink of its own."""
    arms = tuple(asked.values())
    part = Part(name="ceiling", kind=PartKind.WARM_UP, arms=arms, period_s=PERIOD_S, washout_s=WASHOUT_S)
    used = {name: strategies[name] for name in asked}
    workers = Workers(max(arm.vus for arm in asked.values()))
    async with AsyncExitStack() as stack:
        gateways = {
            name: await stack.enter_async_context(sink(-(-arm.file_size_bytes // arm.piece_bytes)))
            for name, arm in asked.items()
        }
        load = await stack.enter_async_context(
            open_load(program, files, rows=rows, strategies=used, workers=workers, seed=0, cores=cores)
        )
        await load.ready()
        stretch = Stretch(
            stretch="s001", part=part.name, t0=time.time() + load.lead_s(part.arms), period_s=PERIOD_S,
            washout_s=WASHOUT_S, order=tuple(asked), blocks=(0,) * len(asked),
        )  # fmt: skip
        await load.release(stretch, part, gateways=gateways, identities={name: [NOBODY] for name in asked})
        await load.idle(LIMIT_S + PERIOD_S * len(asked))
        await load.end()
    return stretch


def ceiling_of(outcomes: Sequence[Outcome], counted: tuple[float, float], size_bytes: int) -> Ceiling | None:
    """From what ended between two instants; None when the script could not upload to the sink."""
    begin, end = counted
    inside = [outcome for outcome in outcomes if begin <= outcome.ended_at < end]
    acked = [outcome for outcome in inside if outcome.acked]
    if not acked or len(acked) < len(inside):
        return None
    floor_s = median(outcome.ended_at - outcome.started_at for outcome in acked)
    return Ceiling(
        file_size_bytes=size_bytes, uploads_per_s=len(acked) / (end - begin), floor_ms=floor_s * 1000
    )


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
        await background.end(process, END_LIMIT_S, ask=None)
