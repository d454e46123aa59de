"""The bucket at start: created if absent, and private; one service also lets browsers in.

The minio SDK makes the bucket, in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from services.kit.s3.client import S3Client
from services.kit.s3.errors import StoreError, UnavailableError, transport_error, typed
from services.kit.s3.signing import REGION, S3Address, base

PATIENCE_S = 30.0
PAUSE_S = 0.25
_EXISTS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def sdk(address: S3Address) -> Minio:
    """The SDK for the same store; it blocks, so it belongs in a thread."""
    place = base(address.endpoint)
    return Minio(
        place.netloc,
        access_key=address.access_key,
        secret_key=address.secret_key,
        secure=place.scheme == "https",
        region=REGION,
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=False),
    )


async def _in_thread(op: str, call: Any, *args: Any) -> Any:
    try:
        return await asyncio.to_thread(call, *args)
    except S3Error as error:
        raise typed(op, error.response.status, error.code or "") from error
    except ValueError as error:  # the SDK judges names before it asks the store
        raise typed(op, 400, "InvalidName") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise transport_error(op) from error


async def create_bucket(address: S3Address) -> None:
    """Create the bucket unless it is there; another process may do so at the same time."""
    client = sdk(address)
    if await _in_thread("head_bucket", client.bucket_exists, address.bucket):
        return  # whether this key may create buckets does not matter
    try:
        await _in_thread("create_bucket", client.make_bucket, address.bucket)
    except StoreError as error:
        if error.code not in _EXISTS:
            raise


async def is_private(client: S3Client) -> bool:
    """Whether no bucket policy allows anything to everybody."""
    try:
        policy = await client.bucket_policy()
    except StoreError as error:
        if error.code in {"NoSuchBucketPolicy", "NotImplemented"}:
            return True
        raise
    return not allows_everybody(json.loads(policy))


def allows_everybody(policy: dict[str, Any]) -> bool:
    """Whether a statement of an S3 policy document allows something to any principal."""
    statements = policy.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    return any(
        statement.get("Effect") == "Allow" and _everybody(statement.get("Principal"))
        for statement in statements
    )


def _everybody(principal: Any) -> bool:
    if isinstance(principal, dict):
        return any(_everybody(value) for value in principal.values())
    if isinstance(principal, list):
        return any(_everybody(value) for value in principal)
    return bool(principal == "*")


async def prepare_bucket(address: S3Address, *, patience_s: float = PATIENCE_S) -> None:
    """Make sure that the bucket is there; safe to run in every process at once.

    A store that is still starting is asked again for ``patience_s``.

    Raises:
        StoreError: the store stays away or refuses.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            await create_bucket(address)
            break
        except UnavailableError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(PAUSE_S)


async def allow_origins(client: S3Client, origins: Sequence[str]) -> str:
    """Let browsers of these origins read and write by presigned URLs: ``bucket``, or ``server`` where the
    store has only a server-wide setting.

    Only one service does so, because the last one to write would win.
    """
    return "bucket" if await client.put_bucket_cors(origins) else "server"
