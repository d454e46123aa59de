"""Bucket set-up and the store's self-test, against a real store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from services.kit.clock import World
from services.kit.origins import ORIGINS
from services.kit.s3 import (
    Capabilities,
    RefusedError,
    S3Address,
    S3Client,
    UnavailableError,
    allow_origins,
    open_client,
    prepare_bucket,
    self_test,
)
from services.kit.s3.bucket import create_bucket, is_private
from tests.buckets import open_to_everybody

pytestmark = pytest.mark.integration


async def test_created_by_several_at_once(address: S3Address) -> None:
    fresh = replace(address, bucket="at-once")
    async with open_client(fresh, World(), lambda *_: None) as client:
        await asyncio.gather(*(prepare_bucket(fresh) for _ in range(8)))
        assert await client.list_objects("") == []
        assert await is_private(client)


async def test_browsers_of_allowed_origins_are_let_in_by_somebody(
    address: S3Address, store: S3Client, key: str
) -> None:
    """The bucket, or the store's own setting, answers a browser's question before a presigned PUT."""
    assert await allow_origins(store, ORIGINS) in {"bucket", "server"}
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    async with aiohttp.ClientSession() as browser:
        for origin in ORIGINS:
            url = store.presign_put(key, 60)
            async with browser.options(url, headers={"Origin": origin, **asked}) as answer:
                assert answer.status in {200, 204}
                assert answer.headers["Access-Control-Allow-Origin"] == origin
        url, asking = store.presign_put(key, 60), {"Origin": ORIGINS[0]}
        async with browser.put(url, data=b"x", headers=asking) as answer:
            assert answer.status == 200
            assert "etag" in answer.headers["Access-Control-Expose-Headers"].lower()
        foreign = {"Origin": "https://evil.example", **asked}
        async with browser.options(store.presign_put(key, 60), headers=foreign) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_policy_for_everybody_is_noticed(address: S3Address) -> None:
    public = replace(address, bucket="public-one")
    await create_bucket(public)
    async with open_to_everybody(public), open_client(public, World(), lambda *_: None) as client:
        assert not await is_private(client)


async def test_self_test_of_a_full_store(store: S3Client) -> None:
    assert await self_test(store, "one") == Capabilities(True, True, True, True)
    assert await store.list_objects("selftest/") == []


async def test_wrong_credentials_and_no_store(address: S3Address) -> None:
    with pytest.raises(RefusedError):
        await create_bucket(replace(address, secret_key="not the secret", bucket="nobody"))
    with pytest.raises(RefusedError):
        await create_bucket(replace(address, bucket="Not A Bucket"))
    away = replace(address, endpoint="http://127.0.0.1:1")
    with pytest.raises(UnavailableError):
        await prepare_bucket(away, patience_s=0)
