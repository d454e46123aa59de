"""``WORKERS=2``: two processes of each service share the work, count apart, and one of them may die."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.metrics import counters
from loadtests.harness.metrics.counters import Scrape
from loadtests.harness.testbeds.system import find_system
from tests.adversity.bench import MIB, Bench, open_bench, until
from tests.adversity.client import Client
from tests.contract import flows
from tests.contract.api import Api
from tests.stack import PYTHON_PARTS, System, running_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
STRATEGIES = ("proxy-chunked", "direct-multipart")
AT_ONCE = 16  # of each strategy; the kernel gives each connection to one of the gateways by its address
BYTES = 6 * MIB  # two pieces
PIECES = 2


@pytest.fixture(scope="module")
def pairs() -> Iterator[System]:
    with running_system(chosen={"WORKERS": "2"}) as started:
        yield started


@pytest.fixture
async def bench(pairs: System) -> AsyncIterator[Bench]:
    async with open_bench(pairs) as opened:
        yield opened


async def scrape(bench: Bench) -> dict[str, Scrape]:
    """The counters of every process, as the harness finds and reads them."""
    stack = bench.system.stack
    found = find_system({**stack.env, "VAULTBENCH_RUN_DIR": str(stack.run_dir)})
    return await counters.scrape_all(bench.http, found.admin_urls)


def answered(before: Scrape, after: Scrape) -> float:
    """Requests that uploads made, as one process counts them; the supervisor's questions are none."""
    by_path = (after - before).by("http_requests_total", "path")
    return sum(count for path, count in by_path.items() if path not in ("/live", "/ready"))


async def test_all_processes_work_and_their_counts_add_up(bench: Bench) -> None:
    clients = {strategy: await bench.client(BYTES) for strategy in STRATEGIES}
    before = await scrape(bench)
    assert len(before) == 2 * len(PYTHON_PARTS)
    uploads = [
        client.upload(strategy, bench.row(client))
        for strategy, client in clients.items()
        for _ in range(AT_ONCE)
    ]
    assert all(await asyncio.gather(*uploads))
    after = await scrape(bench)

    shares = {part: answered(before[part], after[part]) for part in after if not part.startswith("auth")}
    assert min(shares.values()) > 0, shares
    spent, known = counters.differences(before, after), load_strategies()
    cost: Counter[str] = Counter()
    for strategy in STRATEGIES:
        cost.update(known[strategy].expected_statements(PIECES))
    for database in ("upload_db", "files_db"):
        assert spent.statements[database] == AT_ONCE * cost[database], spent
    wanted = sum(known[strategy].expected_store_requests(PIECES) for strategy in STRATEGIES)
    assert sum(spent.store_requests.values()) == AT_ONCE * wanted, spent

    for client in clients.values():
        api = Api(bench.http, client.gateway, Counter(), client.identity.token)
        files = await flows.owned(api, size=AT_ONCE)
        assert len(files) == AT_ONCE
        for file in files:
            ref = file["name"].removesuffix(".bin")
            assert await flows.content(api, file["file_id"]) == client.payload.body(ref)
    await verified(bench, *clients.values())


@pytest.mark.parametrize("victim", ["upload-2", "gateway-2"])
async def test_what_a_killed_worker_acknowledged_stays_and_another_takes_its_place(
    bench: Bench, victim: str
) -> None:
    stack = bench.system.stack
    pid = stack.rows()[victim]["pid"]
    fleet = [(await bench.client(MIB), strategy) for strategy in STRATEGIES for _ in range(4)]
    over = asyncio.Event()

    async def keep_uploading(client: Client, strategy: str) -> None:
        while not over.is_set():
            await client.upload(strategy, bench.row(client))

    storm = [asyncio.create_task(keep_uploading(client, strategy)) for client, strategy in fleet]

    async def under_way() -> bool:
        return all(client.outcomes for client, _ in fleet)

    await until(under_way)
    await bench.control("kill", victim)

    async def replaced() -> bool:
        row = (await asyncio.to_thread(stack.rows))[victim]
        return row["state"] == "healthy" and row["pid"] not in (0, pid)

    await until(replaced)
    over.set()
    await asyncio.gather(*storm)
    assert all(outcome.acked for client, _ in fleet for outcome in client.outcomes)
    await verified(bench, *(client for client, _ in fleet))


async def verified(bench: Bench, *clients: Client) -> None:
    """The ledger finds every upload, byte by byte."""
    audit = await bench.audit(*clients)
    classes = {name: count for name, count in audit.table.classes.items() if count}
    assert classes == {"verified": len(bench.rows)}, audit.table.offending
