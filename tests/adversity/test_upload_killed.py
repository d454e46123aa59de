"""Kill -9 of the upload service while it works: nothing acknowledged is lost, nothing doubled.

The ledger is the judge. Most moments are not left to luck: a body that stops half-way, a locked row, a
paused store or files service hold the service exactly where it is to die, several uploads at a time.
One test adds seeded moments of a storm.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pytest

from loadtests.harness.clients.payload import UploadRow
from loadtests.harness.ledger.audit import Audit
from loadtests.harness.records.vocabulary import LedgerClass
from tests.adversity.bench import MIB, Bench, until
from tests.adversity.client import PAUSE_S, PIECE_BYTES, Client

pytestmark = [pytest.mark.adversity, pytest.mark.noisy]

PROXY, DIRECT = "proxy-chunked", "direct-multipart"
SMALL, LARGE = MIB, 11 * MIB  # one piece, and three
BOTH = ((PROXY, SMALL), (PROXY, LARGE), (DIRECT, SMALL), (DIRECT, LARGE))
PROXIED = BOTH[:2]
STORM_SEED = 20_241
STORM_KILLS = 3
NEVER = ("G-02", "G-03", "G-05", "G-07")
# MinIO forgets the parts of an upload that it is completing when whoever asked for that is cut off. A kill at
# this moment costs one upload, and its client is told so: upload_failed by proxy, invalid_part directly.
FORGOTTEN = (409, 422)
# A lease ends after 20 s: whoever is faster took the job back because it was its own.
TAKEN_BACK_S = 15.0


class Gate:
    """Stops a client at one step, the first time it comes there."""

    def __init__(self, step: str, index: int) -> None:
        self._place = (step, index)
        self._reached, self._open = asyncio.Event(), asyncio.Event()

    async def hook(self, step: str, index: int) -> None:
        if (step, index) == self._place:
            self._reached.set()
            await self._open.wait()

    async def reached(self) -> None:
        await self._reached.wait()

    def open(self) -> None:
        self._open.set()


@dataclass(slots=True)
class Flight:
    """One upload under way, held at its gate."""

    client: Client
    row: UploadRow
    gate: Gate
    task: asyncio.Task[bool]

    async def at_gate(self) -> None:
        """Wait until the client stands at its gate; fails if it ends before."""
        reached = asyncio.create_task(self.gate.reached())
        await asyncio.wait([reached, self.task], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        arrived = reached.done()
        reached.cancel()
        if self.task.done():
            self.task.result()
        assert arrived, f"upload {self.row.ref} did not come to its gate: {self.client.outcomes}"


async def take_off(
    bench: Bench, strategy: str, size_bytes: int, step: str, index: int, *, resends: bool = True
) -> Flight:
    client = await bench.client(size_bytes, resends=resends)
    row, gate = bench.row(client), Gate(step, index)
    return Flight(client, row, gate, asyncio.create_task(client.upload(strategy, row, gate.hook)))


async def all_held(flights: Sequence[Flight]) -> None:
    for flight in flights:
        await flight.at_gate()


def release(flights: Sequence[Flight]) -> None:
    for flight in flights:
        flight.gate.open()


async def before_the_end(
    bench: Bench, kinds: Sequence[tuple[str, int]] = BOTH, *, resends: bool = True
) -> list[Flight]:
    """Uploads held before, or in the middle of, the request that ends them."""
    return [
        await take_off(bench, strategy, size, *last_request(strategy, size), resends=resends)
        for strategy, size in kinds
    ]


def last_request(strategy: str, size_bytes: int) -> tuple[str, int]:
    if strategy == PROXY:
        return "half of chunk", (size_bytes - 1) // PIECE_BYTES
    return "complete", 0


async def landed(bench: Bench, flights: Sequence[Flight]) -> Audit:
    await asyncio.gather(*(flight.task for flight in flights))
    return await bench.audit(*(flight.client for flight in flights))


def assert_all_verified(audit: Audit, count: int) -> None:
    found = {name: number for name, number in audit.table.classes.items() if number}
    assert found == {LedgerClass.VERIFIED.value: count}, audit.table.offending
    # Leftovers of sends that died are the sweeper's; nothing else may be there.
    wrong = {flag: audit.table.flags[flag] for flag in ("G-04", "G-10", "G-11", "G-12")}
    assert not any(wrong.values()), (wrong, audit.table.offending)
    assert audit.table.hashed == count
    assert not audit.table.failed


HELD_AT = [
    (PROXY, SMALL, "session", 0),
    (PROXY, SMALL, "half of chunk", 0),
    (PROXY, LARGE, "half of chunk", 1),
    (PROXY, LARGE, "chunk", 2),
    (DIRECT, LARGE, "half of put", 1),
    (DIRECT, SMALL, "part", 0),
    (DIRECT, LARGE, "complete", 0),
]


async def test_between_and_inside_requests(bench: Bench) -> None:
    flights = [await take_off(bench, *moment) for moment in HELD_AT]
    await all_held(flights)
    await bench.recovered(await bench.kill())
    release(flights)
    audit = await landed(bench, flights)
    assert_all_verified(audit, len(flights))
    resent = dict(zip(HELD_AT, (flight.client.resent for flight in flights), strict=True))
    assert all(count for moment, count in resent.items() if moment[2] == "half of chunk")
    assert not resent[DIRECT, LARGE, "half of put", 1]  # these bytes do not pass the service


async def test_while_the_files_service_is_waited_for(bench: Bench) -> None:
    """Every byte is accepted and a job is running; the client sends its last request again."""
    flights = await before_the_end(bench)
    await die_while_registering(bench, flights)
    audit = await landed(bench, flights)
    assert_all_verified(audit, len(flights))
    assert all(flight.client.resent for flight in flights)


async def test_a_restarted_process_finishes_what_nobody_asks_for_again(bench: Bench) -> None:
    flights = await before_the_end(bench, resends=False)
    await die_while_registering(bench, flights)
    audit = await landed(bench, flights)
    assert audit.table.acks == 0
    assert audit.table.classes["G-08"] == len(flights), audit.table.offending
    assert audit.settled.waited_s < TAKEN_BACK_S
    assert not audit.table.failed


async def die_while_registering(bench: Bench, flights: Sequence[Flight]) -> None:
    rows = [flight.row for flight in flights]

    async def all_registering() -> bool:
        """Every job runs although its object is there: what is left to do is the registration."""
        running = await bench.running_jobs(rows)
        return len(running) == len(rows) and running <= await bench.stored_keys()

    await all_held(flights)
    async with bench.paused("files"):
        release(flights)
        await until(all_registering)
        killed = await bench.kill()
    await bench.recovered(killed)


async def test_while_the_store_is_waited_for(bench: Bench) -> None:
    """Jobs of direct uploads have begun, bodies of proxied ones are half-way into the store."""
    flights = await before_the_end(bench)
    direct = [flight.row for flight in flights[2:]]

    async def jobs_have_begun() -> bool:
        return len(await bench.running_jobs(direct)) == len(direct)

    await all_held(flights)
    async with bench.paused(bench.system.store_part):
        release(flights)
        await until(jobs_have_begun)
        killed = await bench.kill()
    await bench.recovered(killed)
    audit = await landed(bench, flights)
    assert_all_verified(audit, len(flights))


class Arrival(StrEnum):
    """When the database carries out the statement of a sender that is dead by then."""

    NEVER = "never"
    BEFORE = "before its successor starts"
    AFTER = "after its successor started"


@pytest.mark.parametrize("arrival", Arrival)
async def test_between_stored_and_accepted(bench: Bench, arrival: Arrival) -> None:
    """The store has the bytes, the statement that accepts them waits, and its sender dies.

    If the statement still arrives, there is a job whose owner never knew of it.
    """
    flights = await before_the_end(bench, PROXIED)

    async def both_wait() -> bool:
        return await bench.waiting_statements() >= len(flights)

    await all_held(flights)
    async with bench.locked([flight.row for flight in flights]):
        release(flights)
        await until(both_wait)
        killed = await bench.kill()
        if arrival is Arrival.NEVER:
            assert await bench.end_waiting_statements() >= len(flights)
        if arrival is Arrival.AFTER:  # the breaker may stay open: what comes again waits for the same rows
            await bench.replaced(killed)
    await bench.recovered(killed)
    audit = await landed(bench, flights)
    assert_all_verified(audit, len(flights))


async def test_the_ledger_sees_what_a_detached_task_loses(bench: Bench) -> None:
    """The judge is not blind: where uploads are acknowledged before they are durable, a kill loses them."""
    async with bench.upload_runs_with(FINALISE="detached"):
        flights = await before_the_end(bench, PROXIED)
        await all_held(flights)
        async with bench.paused("files"):
            release(flights)
            assert all(await asyncio.gather(*(flight.task for flight in flights)))
            killed = await bench.kill()
        await bench.recovered(killed)
        audit = await landed(bench, flights)
    assert audit.table.classes["G-02"] == audit.table.flags["G-10"] == len(flights), audit.table.offending
    assert audit.table.failed


async def test_storm(bench: Bench) -> None:
    """Uploads without pause, kills at seeded moments; half of the clients never send anything again."""
    over = asyncio.Event()
    patient = [(await bench.client(size), strategy) for strategy, size in BOTH]
    hasty = [(await bench.client(size, resends=False), strategy) for strategy, size in BOTH]
    storm = [
        asyncio.create_task(keep_uploading(bench, client, strategy, over))
        for client, strategy in (*patient, *hasty)
    ]
    await strike(bench, random.Random(STORM_SEED))
    over.set()
    await asyncio.gather(*storm)
    audit = await bench.audit(*(client for client, _ in (*patient, *hasty)))
    classes = audit.table.classes
    assert not any(classes[name] for name in NEVER), audit.table.offending
    assert not audit.table.failed
    assert audit.table.flags["G-10"] == 0
    assert classes["verified"] == audit.table.acks > 0
    seen = Counter((sample.user_id, sample.ledger) for sample in audit.samples)
    for client, _ in patient:
        verified = seen[client.identity.user_id, LedgerClass.VERIFIED]
        told = sum(outcome.status in FORGOTTEN for outcome in client.outcomes)
        assert verified + told == len(client.intents), audit.table.offending
        assert told <= STORM_KILLS
    assert any(client.resent for client, _ in patient)


async def keep_uploading(bench: Bench, client: Client, strategy: str, over: asyncio.Event) -> None:
    while not over.is_set():
        if not await client.upload(strategy, bench.row(client)):
            await asyncio.sleep(PAUSE_S)  # refused: a service that is down refuses at once


async def strike(bench: Bench, rng: random.Random) -> None:
    """Kill at drawn moments, counted from the moment a process is ready."""
    for _ in range(STORM_KILLS):
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        await bench.recovered(await bench.kill())
