"""Clients of the suite's object store."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from services.kit.clock import World
from services.kit.s3 import S3Address, S3Client, open_client
from services.kit.s3.bucket import create_bucket
from tests.stack import Backends


@pytest.fixture(scope="session")
def address(backends: Backends) -> S3Address:
    settings = backends.store_settings()
    return S3Address(
        endpoint=settings["S3_ENDPOINT"],
        public_endpoint=settings["S3_PUBLIC_ENDPOINT"],
        bucket="test-files",
        access_key=settings["S3_ACCESS_KEY"],
        secret_key=settings["S3_SECRET_KEY"],
    )


class Observed(list[tuple[str, str]]):
    """The observer of a client: what was asked and how it ended."""

    def __call__(self, op: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.append((op, result))


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
def opened() -> list[None]:
    """One entry per connection that ``store`` opened."""
    return []


@pytest.fixture
async def store(address: S3Address, observed: Observed, opened: list[None]) -> AsyncIterator[S3Client]:
    await create_bucket(address)
    async with open_client(address, World(), observed, opened=lambda: opened.append(None)) as client:
        yield client


@pytest.fixture
def key() -> str:
    return f"users/{secrets.token_hex(4)}/{secrets.token_hex(8)}"
