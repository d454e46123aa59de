"""Bucket set-up and the store's self-test, against a real store."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from services.kit.clock import World
from services.kit.s3 import (
    Capabilities,
    RefusedError,
    S3Address,
    S3Client,
    UnavailableError,
    open_client,
    prepare_bucket,
    self_test,
)
from services.kit.s3.bucket import create_bucket, is_private, sdk

pytestmark = pytest.mark.integration


async def test_created_by_several_at_once(address: S3Address) -> None:
    fresh = replace(address, bucket="at-once")
    async with open_client(fresh, World(), lambda *_: None) as client:
        states = await asyncio.gather(
            *(prepare_bucket(fresh, client, ["http://localhost:3000"]) for _ in range(8))
        )
    assert all(state.private and state.cors in {"bucket", "server"} for state in states)


async def test_a_policy_for_everybody_is_noticed(address: S3Address) -> None:
    public = replace(address, bucket="public-one")
    await create_bucket(public)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ["*"]},
                "Action": ["s3:GetObject"],
                "Resource": ["arn:aws:s3:::public-one/*"],
            }
        ],
    }
    await asyncio.to_thread(sdk(public).set_bucket_policy, "public-one", json.dumps(policy))
    async with open_client(public, World(), lambda *_: None) as client:
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
    async with open_client(away, World(), lambda *_: None) as client:
        with pytest.raises(UnavailableError):
            await prepare_bucket(away, client, [], patience_s=0)
