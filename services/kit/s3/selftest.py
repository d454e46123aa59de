"""What the store can do, found out at start with objects under ``selftest/``.

A store that does not verify payload hashes or ignores ``If-None-Match`` still works, by slower paths
that need neither; nothing is assumed from a product's name.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from services.kit.s3.client import S3Client
from services.kit.s3.errors import (
    ChecksumMismatchError,
    PreconditionFailedError,
    StoreError,
    UnavailableError,
)
from services.kit.s3.model import Part

PREFIX = "selftest/"
_BODY = b"vaultbench self-test"
_OTHER_ETAG = f'"{"0" * 32}"'


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Results of the self-test.

    ``verifies_hash``: a body that differs from its signed hash is refused and not stored.
    ``create_only``: ``If-None-Match: *`` refuses to replace an object.
    ``returns_etag``: a PUT's answer names the ETag that HEAD names.
    ``replaces_matched``: a PUT or a completion with ``If-Match`` replaces that object and no other.
    """

    verifies_hash: bool
    create_only: bool
    returns_etag: bool
    replaces_matched: bool

    @property
    def direct_final(self) -> bool:
        """Whether a whole file may be streamed straight to its final key."""
        return self.verifies_hash and self.create_only


async def self_test(store: S3Client, name: str) -> Capabilities:
    """Try each capability under ``selftest/<name>`` and remove what was written.

    Args:
        name: unique per process start, so that replicas do not meet.

    Raises:
        StoreError: the store is away; nothing was found out.
    """
    key = f"{PREFIX}{name}"
    try:
        return Capabilities(
            verifies_hash=await _verifies_hash(store, f"{key}-hash"),
            returns_etag=await _returns_etag(store, key),
            create_only=await _create_only(store, key),
            replaces_matched=await _replaces_matched(store, key),
        )
    finally:
        with suppress(StoreError):  # leftovers under this prefix are swept
            await store.delete_many([key, f"{key}-hash"])


async def _verifies_hash(store: S3Client, key: str) -> bool:
    wrong = sha256(b"something else").hexdigest()
    exchange = await store.open_put(key, len(_BODY), payload_sha256=wrong)
    await exchange.write(_BODY)
    try:
        await exchange.finish()
    except ChecksumMismatchError:
        return True
    return False


async def _returns_etag(store: S3Client, key: str) -> bool:
    stored = await store.put_bytes(key, _BODY)
    return bool(stored.etag) and stored.etag == (await store.head(key)).etag


async def _create_only(store: S3Client, key: str) -> bool:
    """Needs an object at ``key``."""
    return await _refused(store.put_bytes(key, _BODY, if_none_match=True))


async def _replaces_matched(store: S3Client, key: str) -> bool:
    """Needs an object at ``key``."""
    there = (await store.head(key)).etag
    try:
        await store.put_bytes(key, _BODY, if_match=there)
    except StoreError as error:
        if isinstance(error, UnavailableError):
            raise
        return False
    upload_id = await store.create_multipart(key)
    try:
        parts = [Part(1, (await store.put_part_bytes(key, upload_id, 1, _BODY)).etag)]
        return await _refused(store.put_bytes(key, _BODY, if_match=_OTHER_ETAG)) and await _refused(
            store.complete_multipart(key, upload_id, parts, if_match=_OTHER_ETAG)
        )
    finally:
        with suppress(StoreError):
            await store.abort_multipart(key, upload_id)


async def _refused(call: Awaitable[object]) -> bool:
    try:
        await call
    except PreconditionFailedError:
        return True
    return False
