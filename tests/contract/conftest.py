"""Users and clients of the contract suite."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import jwt
import pytest

from tests.contract.api import Api
from tests.order import sort_those_of
from tests.stack import System

MakeUser = Callable[[], Awaitable[Api]]
HERE = Path(__file__).parent
PASSWORD = "Test@1234"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What everything else left behind is looked at last, and the account of seen error codes closed."""
    last = ("test_agreement.py", "test_codes.py")
    sort_those_of(HERE, items, lambda item: last.index(item.path.name) if item.path.name in last else -1)


@pytest.fixture(scope="session")
def seen() -> Counter[str]:
    """How often each error code was answered in this session."""
    return Counter()


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        auto_decompress=False, timeout=aiohttp.ClientTimeout(total=60)
    ) as session:
        yield session


@pytest.fixture(scope="session")
def anyone(system: System, http: aiohttp.ClientSession, seen: Counter[str]) -> Api:
    """The gateway without a token."""
    return Api(http, system.gateway, seen)


@pytest.fixture(scope="session")
def make_user(anyone: Api) -> MakeUser:
    """Signs a new user up; each test that counts something has one of its own."""
    numbers = itertools.count(1)

    async def make() -> Api:
        number = next(numbers)
        email = f"user-{number}@contract.example"
        body = {"username": f"contract_{number}", "email": email, "password": PASSWORD}
        token = (await anyone.ok("POST", "/auth/signup", json=body))["token"]
        user_id = UUID(jwt.decode(token, options={"verify_signature": False})["user_id"])
        return Api(anyone.session, anyone.base, anyone.seen, token, email, user_id)

    return make


@pytest.fixture
async def user(make_user: MakeUser) -> Api:
    return await make_user()


@pytest.fixture(scope="session")
async def stranger(make_user: MakeUser) -> Api:
    """Somebody else."""
    return await make_user()
