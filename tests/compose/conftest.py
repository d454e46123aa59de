"""One daemon and one running testbed for all tests of containers; they only run with make test-compose."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.compose import engine
from tests.compose.bed import UP_WITHIN_S, Bed, new_bed
from tests.contract.api import Api
from tests.order import sort_those_of

Visitor = Callable[[Bed], Awaitable[Api]]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """As written: the last tests of a file stop its testbed. pytest would run those with a loop first."""
    sort_those_of(Path(__file__).parent, items, lambda item: (item.path, item.location[1] or 0))


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a daemon that has all base images."""
    if os.environ.get("VAULTBENCH_TEST_COMPOSE") != "1":
        pytest.skip("containers: make test-compose")
    with engine.running_daemon(Path(tmp_path_factory.mktemp("dockerd"))) as host:
        engine.provide_images(host)
        yield host


@pytest.fixture(scope="session")
def without(daemon: str) -> str:
    """Parts that cannot run here: there is no stand-in for Grafana."""
    return "grafana" if engine.stand_ins(daemon) else ""


@pytest.fixture(scope="session")
def bed(daemon: str, without: str) -> Iterator[Bed]:
    """The base testbed, up."""
    with new_bed(daemon, WITHOUT=without) as made:
        (made.folder / "up.txt").write_text(made.good("up", timeout_s=UP_WITHIN_S))
        yield made


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    """Signs up a new user of a testbed."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def sign_up(bed: Bed) -> Api:
            name = f"u{uuid4().hex[:12]}"
            anyone = Api(session, bed.gateway, Counter())
            body = {"username": name, "email": f"{name}@compose.example", "password": "Test@1234"}
            token = (await anyone.ok("POST", "/auth/signup", json=body))["token"]
            return anyone.with_token(token)

        yield sign_up
