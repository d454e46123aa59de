"""What one upload costs in statements, store requests and connections: exact numbers, from the counters."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract import flows, forms
from tests.contract.api import Api
from tests.contract.conftest import PASSWORD
from tests.contract.flows import MIB, Multipart, Proxy, Single, Strategy
from tests.stack import System

pytestmark = pytest.mark.integration

# Work that no upload waits for: polls, readiness, and the cleaning of what it left behind.
BACKGROUND = ("poll_", "clean_", "sweep_", "file_void", "health", "job_take_back", "delete_object")
OTHERS = ("upload_sessions_open", 'path="/live"', 'path="/ready"', *(f'"{name}' for name in BACKGROUND))
STATEMENTS, STORE = "db_query_seconds_count", "store_request_seconds_count"
OPENED = "upstream_connections_opened_total"


class Counters:
    """Sums over the processes' counters; ``spent`` is what one block of work added."""

    def __init__(self, system: System, http: aiohttp.ClientSession) -> None:
        self._system, self._http = system, http

    async def read(self) -> Counter[tuple[str, str, str]]:
        found: Counter[tuple[str, str, str]] = Counter()
        for part in ("gateway", "auth", "upload", "files"):
            async with self._http.get(f"{self._system.admin(part)}/metrics") as answer:
                text = await answer.text()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name in {STATEMENTS, STORE, OPENED}:
                        labels = sample.labels
                        what = labels.get("statement") or labels.get("op") or labels["upstream"]
                        found[part, sample.name, what] += int(sample.value)
        return found

    async def series(self, part: str) -> set[str]:
        """Names and labels of all series, but for those that probes and background work make."""
        async with self._http.get(f"{self._system.admin(part)}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        names = {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}
        return {name for name in names if not any(word in name for word in OTHERS)}


def of_work(spent: Counter[tuple[str, str, str]], part: str, name: str) -> dict[str, int]:
    """What was spent by name, background work apart."""
    return {
        what: number
        for (at, metric, what), number in spent.items()
        if (at, metric) == (part, name) and number and not what.startswith(BACKGROUND)
    }


async def logged(system: System, part: str, wanted: str, last: str) -> list[dict[str, Any]]:
    """The lines of requests about an upload, once the one with the request id ``last`` is written."""
    log = system.stack.run_dir / "logs" / f"{part}.log"
    async with asyncio.timeout(30):
        while True:
            text = log.read_text(encoding="utf-8")
            whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
            lines = [json.loads(line) for line in whole if wanted in line and '"event":"request"' in line]
            if any(line["request_id"] == last for line in lines):
                return lines
            await asyncio.sleep(0.05)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
async def user(system: System, http: aiohttp.ClientSession, request: pytest.FixtureRequest) -> Api:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    anyone = Api(http, system.gateway, Counter())
    body = {"username": name, "email": f"{name}@counts.example", "password": PASSWORD}
    token = (await anyone.ok("POST", "/auth/signup", json=body))["token"]
    return Api(http, system.gateway, Counter(), token, body["email"])


@pytest.fixture
def counters(system: System, http: aiohttp.ClientSession) -> Counters:
    return Counters(system, http)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one upload: statements in upload_db and store requests by the services; files_db takes one."""

    strategy: Strategy
    size: int
    statements: int
    requests: int

    def __str__(self) -> str:
        return f"{self.strategy.name}-{self.size // MIB}MiB"


COSTS = [
    Cost(Proxy(), MIB, 4, 1),
    Cost(Proxy(checksums=False), MIB, 4, 2),
    Cost(Proxy(5 * MIB), 10 * MIB, 7, 4),
    Cost(Proxy(5 * MIB), 12 * MIB, 9, 5),
    Cost(Proxy(), 25 * MIB, 9, 5),
    Cost(Multipart(), MIB, 4, 2),
    Cost(Multipart(), 12 * MIB, 6, 2),
    Cost(Single(), MIB, 3, 1),
    Cost(Single(), 12 * MIB, 3, 1),
]


@pytest.mark.parametrize("cost", COSTS, ids=str)
async def test_one_upload(user: Api, counters: Counters, system: System, cost: Cost) -> None:
    strategy, data = cost.strategy, bytes(cost.size)
    before = await counters.read()
    upload = await flows.start(strategy, user, data)
    answer = None
    for index in range(len(strategy.pieces(data))):
        answer = await strategy.send(upload, index)
    if not isinstance(strategy, Proxy):
        answer = await strategy.finish(upload)
    spent = await counters.read() - before
    assert answer is not None
    assert answer.json["status"] == "completed"
    in_upload, in_store = of_work(spent, "upload", STATEMENTS), of_work(spent, "upload", STORE)
    assert sum(in_upload.values()) == cost.statements, in_upload
    assert sum(in_store.values()) == cost.requests, in_store
    assert sum(of_work(spent, "files", STATEMENTS).values()) == 1
    assert of_work(spent, "files", STORE) == {}
    assert of_work(spent, "auth", STATEMENTS) == {}

    last = answer.headers["X-Request-Id"]
    lines = await logged(system, "upload", upload.uuid, last)
    assert {line["upload_uuid"] for line in lines} == {upload.uuid}
    assert sum(line["statements"] for line in lines) == cost.statements
    assert sum(line["store_requests"] for line in lines) == cost.requests
    (registered,) = await logged(system, "files", upload.uuid, last)
    assert (registered["route"], registered["statements"]) == ("/internal/file", 1)
    (done,) = [line for line in lines if line["request_id"] == last]
    assert done["duration_ms"] > done["upstream_ms"] > 0
    assert registered["duration_ms"] > registered["sql_ms"] > 0
    assert all((line["store_ms"] > 0) == (line["store_requests"] > 0) for line in lines)


@pytest.mark.parametrize("mode", ["streamed", "spooled", "buffered"])
@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
@pytest.mark.parametrize("size", [MIB, 20 * MIB])
async def test_one_file_in_one_request(
    user: Api, counters: Counters, mode: str, form: bool, size: int
) -> None:
    """Only a streamed form that is longer than one part needs more: it has to be sent in parts."""
    statements, requests = (4, 5) if (mode, form, size) == ("streamed", True, 20 * MIB) else (3, 1)
    data = flows.payload(size)
    given: dict[str, Any] = {"data": data, "headers": {"X-File-Name": "a.bin"}}
    if form:
        given = forms.given(forms.form(forms.file(data)))
    before = await counters.read()
    made = await user.ok("POST", "/api/upload/file", 201, params={"mode": mode}, **given)
    spent = await counters.read() - before
    assert made["size_bytes"] == size
    in_upload, in_store = of_work(spent, "upload", STATEMENTS), of_work(spent, "upload", STORE)
    assert sum(in_upload.values()) == statements, in_upload
    assert sum(in_store.values()) == requests, in_store
    assert of_work(spent, "files", STATEMENTS) == {"file_register": 1}


async def test_the_same_file_under_the_same_key_again(user: Api, counters: Counters) -> None:
    """It is received and compared, and registered again, which is answered with how the file looks."""
    given: dict[str, Any] = {"data": b"abcd", "headers": {"X-File-Name": "a.bin", "Idempotency-Key": "k"}}
    made = await user.ok("POST", "/api/upload/file", 201, **given)
    before = await counters.read()
    assert await user.ok("POST", "/api/upload/file", 201, **given) == made
    spent = await counters.read() - before
    assert sum(of_work(spent, "upload", STATEMENTS).values()) == 3  # opened, and looked at twice
    assert of_work(spent, "upload", STORE) == {}
    assert of_work(spent, "files", STATEMENTS) == {"file_register": 1}


async def test_a_batch_costs_what_its_files_cost(user: Api, counters: Counters) -> None:
    fields = [forms.file(b"%d" % index, f"{index}.bin", "files") for index in range(5)]
    before = await counters.read()
    answer = await user.ok("POST", "/api/upload/batch", **forms.given(forms.form(*fields)))
    spent = await counters.read() - before
    assert answer["uploaded"] == 5
    assert sum(of_work(spent, "upload", STATEMENTS).values()) == 3 * 5
    assert sum(of_work(spent, "upload", STORE).values()) == 5
    assert of_work(spent, "files", STATEMENTS) == {"file_register": 5}


async def test_what_surrounds_an_upload(user: Api, counters: Counters) -> None:
    """Login and list are one statement each, so an iteration of the load script is 7 either way."""
    before = await counters.read()
    await user.ok("POST", "/auth/login", json={"email": user.email, "password": PASSWORD})
    assert await flows.owned(user) == []
    spent = await counters.read() - before
    assert sum(of_work(spent, "auth", STATEMENTS).values()) == 1
    assert sum(of_work(spent, "files", STATEMENTS).values()) == 1
    assert of_work(spent, "upload", STATEMENTS) == {}


async def test_what_downloads_and_changes_cost(user: Api, counters: Counters) -> None:
    """One statement each; a deletion takes a second one for what was shared while it waited for the row."""
    uuid = (await flows.run(Proxy(), user, b"abcd")).uuid
    path = f"/api/files/f/{uuid}"
    for method, suffix, body, statements, requests in (
        ("GET", "", None, 1, 0),
        ("GET", "/download", None, 1, 0),
        ("GET", "/download?delivery=proxied", None, 1, 1),
        ("PATCH", "", {"name": "b.bin"}, 1, 0),
        ("DELETE", "", None, 2, 0),
    ):
        before = await counters.read()
        answer = await user.call(method, path + suffix, json=body)
        assert answer.status in {200, 204}
        spent = await counters.read() - before
        assert sum(of_work(spent, "files", STATEMENTS).values()) == statements, (method, suffix, spent)
        assert sum(of_work(spent, "files", STORE).values()) == requests, (method, suffix, spent)


async def test_steady_state_opens_no_connection(user: Api, counters: Counters) -> None:
    for strategy in (Proxy(), Multipart(), Single()):
        await flows.run(strategy, user, b"warm")
    before = await counters.read()
    for _ in range(30):
        for strategy in (Proxy(), Multipart(), Single()):
            await flows.run(strategy, user, b"abcd")
    spent = await counters.read() - before
    assert {part: of_work(spent, part, OPENED) for part in ("gateway", "upload")} == {
        "gateway": {},
        "upload": {},
    }


async def test_hostile_paths_make_no_series(user: Api, counters: Counters) -> None:
    """Random paths, methods, ids and queries leave the number of series where it was."""

    def paths(number: int) -> tuple[str, str]:
        name = hashlib.sha256(str(number).encode()).hexdigest()
        uuid = f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:32]}"
        return [
            ("GET", f"/{name}"),
            ("GET", f"/api/files/f/{uuid}"),
            ("GET", f"/api/files/f/{uuid}/download?x={name}"),
            ("GET", f"/api/upload/status?upload_uuid={uuid}"),
            (f"X{name[:8].upper()}", f"/api/upload/{name}"),
            ("DELETE", f"/api/upload/session/{uuid}"),
        ][number % 6]

    async def attack(numbers: range) -> None:
        for number in numbers:
            method, path = paths(number)
            headers = {"Authorization": f"Bearer {user.token}"}
            async with user.session.request(method, user.base + path, headers=headers) as answer:
                assert answer.status in {400, 404, 405}, (method, path)

    await attack(range(6))
    before = {part: await counters.series(part) for part in ("gateway", "upload", "files")}
    await asyncio.gather(*(attack(range(start, 2_000, 8)) for start in range(6, 14)))
    new = {part: sorted(await counters.series(part) - known) for part, known in before.items()}
    assert new == {"gateway": [], "upload": [], "files": []}
