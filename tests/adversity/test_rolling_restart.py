"""Every replica is restarted while uploads run: no client notices, and nothing is lost or doubled.

The clients never send anything again: the first answer that is no success, or the first connection that
breaks, ends an upload and the test.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from compose import roll
from tests.adversity.bench import MIB, Bench, open_bench, until
from tests.adversity.client import Client
from tests.stack import System, running_system

pytestmark = [pytest.mark.adversity, pytest.mark.timeout(600)]
KINDS = (
    ("proxy-chunked", MIB),
    ("proxy-chunked", 11 * MIB),
    ("direct-multipart", MIB),
    ("direct-multipart", 11 * MIB),
)
CLIENTS_PER_KIND = 2
REPLICAS = {f"{service}-{number}" for service in ("gateway", "upload", "files") for number in (1, 2)}


@pytest.fixture(scope="module")
def scaled() -> Iterator[System]:
    with running_system(chosen={"TOPOLOGY": "scaled", "REPLICAS": "2"}) as started:
        yield started


@pytest.fixture
async def bench(scaled: System) -> AsyncIterator[Bench]:
    async with open_bench(scaled) as opened:
        yield opened


async def keep_uploading(bench: Bench, client: Client, strategy: str, over: asyncio.Event) -> None:
    """Uploads until it is over, or until one fails."""
    while not over.is_set() and await client.upload(strategy, bench.row(client)):
        pass


async def test_no_client_notices(bench: Bench) -> None:
    scaled, over = bench.system, asyncio.Event()
    before, logs = scaled.stack.rows(), scaled.log_sizes()
    fleet = [
        (await bench.client(size, resends=False), strategy)
        for strategy, size in KINDS
        for _ in range(CLIENTS_PER_KIND)
    ]
    storm = [asyncio.create_task(keep_uploading(bench, client, strategy, over)) for client, strategy in fleet]
    restarted = await asyncio.to_thread(roll.roll, scaled.stack, print)

    async def many() -> bool:
        return len(bench.rows) > 5 * len(fleet) or any(one.done() for one in storm)

    await until(many)
    over.set()
    await asyncio.gather(*storm)

    after = scaled.stack.rows()
    assert len(restarted) == 6
    assert all(before[name]["pid"] != after[name]["pid"] for name in restarted)
    failed = [
        (outcome.step, outcome.status)
        for client, _ in fleet
        for outcome in client.outcomes
        if not outcome.acked
    ]
    assert failed == []
    answers = Counter(answer["status"] for answer in scaled.answers())
    assert not [status for status in answers if status >= 400], answers
    assert scaled.complaints(logs) == []

    audit = await bench.audit(*(client for client, _ in fleet))
    classes = {name: count for name, count in audit.table.classes.items() if count}
    assert classes == {"verified": len(bench.rows)}, audit.table.offending
    assert not any(audit.table.flags.values()), (audit.table.flags, audit.table.offending)
    assert audit.table.hashed == len(bench.rows) > 4 * len(fleet)


async def test_the_work_is_shared(bench: Bench) -> None:
    """Every replica answers requests, so the test above restarted processes that were in use."""
    client = await bench.client(MIB)
    before = requests_by_instance(bench.system)
    await asyncio.gather(*(client.upload("proxy-chunked", bench.row(client)) for _ in range(12)))
    assert (await bench.audit(client)).table.classes["verified"] == 12

    async def all_worked() -> bool:
        grown = requests_by_instance(bench.system) - before
        return set(grown) >= REPLICAS

    await until(all_worked)


def requests_by_instance(system: System) -> Counter[str]:
    return Counter(answer["instance"] for answer in system.answers())
