"""What a client says of its address has no effect, neither through nginx nor past it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import aiohttp
import pytest

from tests.stack import System, running_system

pytestmark = pytest.mark.adversity
LIMIT, REQUESTS = 5, 30
GATEWAYS = 2


@pytest.fixture(scope="module")
def limited() -> Iterator[System]:
    chosen = {"TOPOLOGY": "scaled", "REPLICAS": str(GATEWAYS), "RATE_LIMIT_IP": str(LIMIT)}
    with running_system(chosen=chosen) as started:
        yield started


@pytest.mark.parametrize("through", [lambda one: one.gateway, lambda one: one.service("gateway")])
@pytest.mark.parametrize(
    "said",
    [
        lambda index: f"9.9.9.{index}",
        lambda index: f"9.9.9.{index}, 127.0.0.2",
        lambda _: f"no address {secrets.token_hex(3_000)}",
    ],
)
async def test_the_limit_per_address_is_not_the_clients_to_choose(
    limited: System, through: Callable[[System], str], said: Callable[[int], str]
) -> None:
    url = f"{through(limited)}/api/files/me/owned"
    statuses = []
    async with aiohttp.ClientSession() as session:
        for index in range(REQUESTS):
            async with session.get(url, headers={"X-Forwarded-For": said(index)}) as answer:
                statuses.append(answer.status)
    # A minute may end meanwhile.
    assert statuses.count(401) <= 2 * LIMIT * GATEWAYS
    assert statuses.count(429) == REQUESTS - statuses.count(401) > 0


async def test_nginx_speaks_for_its_clients_and_they_are_counted_apart(limited: System) -> None:
    """A client from another address of this machine has a limit of its own."""
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.77", 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(2):
            async with session.get(f"{limited.gateway}/api/files/me/owned") as answer:
                assert answer.status == 401
