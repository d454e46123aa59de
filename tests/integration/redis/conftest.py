"""One Redis for the session; each test has it empty and alive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from services.kit.redis import client_of
from tests.redis_server import RedisServer, running_redis


@pytest.fixture(scope="session")
def one_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
async def server(one_server: RedisServer) -> AsyncIterator[RedisServer]:
    client = client_of(one_server.url, 5.0)
    await client.flushall()
    await client.aclose(close_connection_pool=True)
    yield one_server
    if one_server.child is None:
        one_server.start()
