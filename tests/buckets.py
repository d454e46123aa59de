"""A bucket that everybody may read, which a service must notice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kit.s3 import S3Address
from services.kit.s3.bucket import sdk


@asynccontextmanager
async def open_to_everybody(address: S3Address) -> AsyncIterator[None]:
    client, bucket = sdk(address), address.bucket
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await asyncio.to_thread(client.set_bucket_policy, bucket, policy)
    try:
        yield
    finally:
        await asyncio.to_thread(client.delete_bucket_policy, bucket)
