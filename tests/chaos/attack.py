"""One case on a running bed: uploads and faults together, then everything back, then the verdict."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import asyncpg

from loadtests.harness.clients.users import sign_up
from tests.chaos.bed import Bed, Variant
from tests.chaos.client import PATIENCE_S, Sender
from tests.chaos.fault_proxy import Rule
from tests.chaos.judge import open_judge
from tests.chaos.plan import Action, Case, Fault, Kind
from tests.chaos.probes import Probes

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(slots=True)
class Result:
    """How a case ended. ``wrong`` empty: well."""

    case: Case
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    acknowledged: int = 0
    resent: int = 0
    began_again: list[str] = field(default_factory=list)
    struck: int = 0  # faults whose moment came
    unserved_s: dict[str, float] = field(
        default_factory=dict
    )  # by what was struck, nothing else being broken
    away_s: dict[str, float] = field(default_factory=dict)  # by killed part, until its new process was well
    took_s: float = 0.0


class Progress:
    """Counts the clients' requests; whoever waits for the n-th is woken by it."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[tuple[float, asyncio.Event]] = []

    async def step(self) -> None:
        self._count += 1
        for threshold, event in self._waiting:
            if self._count >= threshold:
                event.set()

    async def reached(self, count: float) -> None:
        event = asyncio.Event()
        self._waiting.append((count, event))
        if self._count >= count:
            event.set()
        await event.wait()


async def run_case(bed: Bed, case: Case) -> Result:
    case = case.within(bed.strategies, keeps_beginnings=bed.keeps_beginnings)
    began, result = time.monotonic(), Result(case)
    await asyncio.to_thread(bed.turn_to, Variant(case.chunk_store, case.clock_ahead))
    timeout = aiohttp.ClientTimeout(total=70)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        identity = await sign_up(http, bed.system.gateway, f"chaos-{case.seed}-{time.time_ns():x}")
        progress, hits = Progress(), bed.proxy.hits.total()
        patience_s = PATIENCE_S + max((fault.length_s for fault in case.faults), default=0.0)
        senders = [
            Sender(
                http, bed.system.gateway, identity, f"{case.seed}.{number}", plan, progress.step, patience_s
            )
            for number, plan in enumerate(case.uploads)
        ]
        probes = Probes(http, bed.system.gateway, identity, str(case.seed))
        await asyncio.to_thread(bed.mark)
        bed.proxy.arm([_rule(fault) for fault in case.faults if fault.action is not None])
        steps = sum(plan.steps for plan in case.uploads)
        faults = [
            asyncio.create_task(_strike(bed, fault, progress, steps, probes))
            for fault in case.faults
            if fault.action is None
        ]
        uploads = asyncio.gather(*(sender.run() for sender in senders))
        await _together(uploads, faults)
        result.struck = bed.struck + (bed.proxy.hits.total() > hits)
        bed.proxy.disarm()
        bed.free_disk()
        await asyncio.to_thread(bed.wait_back)
        result.away_s = dict(bed.away_s)
        unserved_s = await probes.ended()
    everybody = [*senders, *probes.senders]
    async with open_judge(bed.system) as judge:
        result.wrong, result.left = await judge.judge(everybody, identity)
        await judge.clean()
    result.wrong += probes.wrong
    if len(case.faults) == 1:
        result.unserved_s = unserved_s
    result.acknowledged = sum(sender.acknowledged is not None for sender in senders)
    result.resent = sum(sender.resent for sender in senders)
    result.began_again = [why for sender in everybody for why in sender.began_again]
    if result.began_again and not any(fault.may_cost_parts for fault in case.faults):
        result.wrong.append(f"begun again although the store lost nothing: {result.began_again}")
    result.took_s = time.monotonic() - began
    return result


async def _together(uploads: asyncio.Future[list[None]], faults: list[asyncio.Task[None]]) -> None:
    """Wait for the uploads; a fault whose moment never came is called off."""
    try:
        await uploads
    finally:
        for task in faults:
            task.cancel()
        for ended in await asyncio.gather(*faults, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


def _rule(fault: Fault) -> Rule:
    assert fault.action is not None
    place, op = ("store", *fault.targets) if fault.kind is Kind.STORE else fault.targets
    return Rule(place, op, Action(fault.action), fault.skip, fault.count, fault.length_s)


async def _strike(bed: Bed, fault: Fault, progress: Progress, steps: int, probes: Probes) -> None:
    await progress.reached(fault.after * steps)
    await asyncio.sleep(fault.pause_s)
    bed.struck += 1
    struck_at = time.monotonic()
    match fault.kind:
        case Kind.KILL:
            await _each(bed.kill, fault)
            probes.begin(fault, struck_at)
        case Kind.PAUSE:
            try:
                await _each(bed.pause, fault)
                probes.begin(fault, struck_at)
                await asyncio.sleep(fault.length_s)
            finally:
                await asyncio.shield(_each(bed.resume, fault))
        case Kind.BACKENDS:
            await _end_backends(bed, fault.targets[0])
        case Kind.DISK:
            try:
                await asyncio.to_thread(bed.fill_disk)
                await asyncio.sleep(fault.length_s)
            finally:
                bed.free_disk()


async def _each(do: object, fault: Fault) -> None:
    assert callable(do)
    await asyncio.gather(*(asyncio.to_thread(do, name) for name in fault.targets))


async def _end_backends(bed: Bed, part: str) -> None:
    """What a failover or an administrator does to every connection."""
    service = part.removeprefix("pg-")
    with suppress(*AWAY):  # down already, or ended by the same fault of a neighbour
        connection = await asyncpg.connect(bed.system.database_url(service), timeout=5)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
                timeout=5,
            )
        finally:
            connection.terminate()
