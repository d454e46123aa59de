"""Single objects against a real store."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from hashlib import sha256

import pytest

from compose.store import MINIO, chosen
from services.kit.clock import World
from services.kit.s3 import (
    ByteRange,
    ChecksumMismatchError,
    NotFoundError,
    PreconditionFailedError,
    RangeError,
    S3Address,
    S3Client,
    StreamedPut,
    UnavailableError,
    open_client,
    same_etag,
)
from tests.chaos.fault_proxy import FaultProxy, Rule
from tests.chaos.plan import Action
from tests.integration.s3.conftest import Observed
from tests.stack import Backends

pytestmark = pytest.mark.integration
MIB = 1_048_576
PIECE = 65_536


async def send(exchange: StreamedPut, body: bytes) -> None:
    for start in range(0, len(body), PIECE):
        await exchange.write(body[start : start + PIECE])
        if exchange.full:
            await exchange.drained()


async def read(store: S3Client, key: str, byte_range: ByteRange | None = None) -> bytes:
    async with store.get(key, byte_range=byte_range) as download:
        return b"".join([piece async for piece in download.pieces()])


async def exists(store: S3Client, key: str) -> bool:
    try:
        await store.head(key)
    except NotFoundError:
        return False
    return True


async def test_streamed_put_with_hash_type_and_meta(store: S3Client, key: str) -> None:
    body = os.urandom(3 * MIB + 17)
    digest = sha256(body).hexdigest()
    exchange = await store.open_put(
        key, len(body), payload_sha256=digest, content_type="text/plain", meta={"sha256": digest}
    )
    await send(exchange, body)
    stored = await exchange.finish()
    info = await store.head(key)
    assert (info.size_bytes, info.content_type, info.meta) == (len(body), "text/plain", {"sha256": digest})
    assert stored.etag == info.etag
    assert stored.etag.startswith('"')
    assert await read(store, key) == body


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
async def test_unsigned_payload_of_any_size(store: S3Client, key: str, size: int) -> None:
    body = os.urandom(size)
    exchange = await store.open_put(key, size)
    await send(exchange, body)
    await exchange.finish()
    assert await read(store, key) == body


async def test_wrong_hash_is_refused_and_nothing_stored(store: S3Client, key: str) -> None:
    body = os.urandom(MIB)
    exchange = await store.open_put(key, len(body), payload_sha256=sha256(b"other").hexdigest())
    await send(exchange, body)
    with pytest.raises(ChecksumMismatchError):
        await exchange.finish()
    assert not await exists(store, key)


async def test_early_412_is_seen_while_the_caller_goes_on(
    store: S3Client, key: str, backends: Backends
) -> None:
    await store.put_bytes(key, b"first")
    body = os.urandom(10 * MIB)
    exchange = await store.open_put(
        key, len(body), payload_sha256=sha256(body).hexdigest(), if_none_match=True
    )
    answered_at = None
    for start in range(0, len(body), PIECE):
        await exchange.write(body[start : start + PIECE])
        await exchange.drained()
        if exchange.answered and answered_at is None:
            answered_at = start
    if chosen(backends.stack.env) == MINIO:  # versitygw may take all bytes before it refuses them
        assert answered_at is not None
        assert answered_at < len(body) - PIECE
    with pytest.raises(PreconditionFailedError):
        await exchange.finish()
    assert await read(store, key) == b"first"


@pytest.mark.parametrize(
    ("action", "error"),
    [(Action.RESET_ANSWER, PreconditionFailedError), (Action.RESET, UnavailableError)],
)
async def test_a_conditional_put_whose_answer_is_lost(
    address: S3Address, store: S3Client, key: str, action: Action, error: type[Exception]
) -> None:
    """Whoever looks finds an object, or none: the caller learns which, and never that it is unknown."""
    body = os.urandom(MIB)
    with FaultProxy() as proxy:
        behind = replace(address, endpoint=f"http://127.0.0.1:{proxy.listen('store', address.endpoint)}")
        async with open_client(behind, World(), lambda *_: None) as client:
            proxy.arm([Rule("store", "put_object", action, skip=0, count=1, stall_s=0)])
            digest = sha256(body).hexdigest()
            exchange = await client.open_put(key, MIB, payload_sha256=digest, if_none_match=True)
            await send(exchange, body)
            with pytest.raises(error):
                await exchange.finish()
    assert await exists(store, key) == (error is PreconditionFailedError)


async def test_abort_keeps_nothing(store: S3Client, key: str) -> None:
    """With its hash signed: versitygw keeps the beginning of a body that nothing was said about."""
    body = os.urandom(2 * MIB)
    exchange = await store.open_put(key, len(body), payload_sha256=sha256(body).hexdigest())
    await send(exchange, body[:MIB])
    await exchange.abort()
    await exchange.abort()
    assert exchange.answered
    assert not await exists(store, key)


async def test_a_short_body_is_an_error_and_keeps_nothing(store: S3Client, key: str) -> None:
    exchange = await store.open_put(key, 10)
    await exchange.write(b"12345")
    with pytest.raises(ValueError, match="fewer"):
        await exchange.finish()
    assert not await exists(store, key)


async def test_too_many_bytes_are_an_error(store: S3Client, key: str) -> None:
    exchange = await store.open_put(key, 3)
    with pytest.raises(ValueError, match="more"):
        await exchange.write(b"1234")
    await exchange.abort()


async def test_an_abort_after_success_changes_nothing(store: S3Client, key: str) -> None:
    exchange = await store.open_put(key, 2)
    await exchange.write(b"ok")
    await exchange.finish()
    await exchange.abort()
    assert await read(store, key) == b"ok"


@pytest.mark.parametrize("size", [1, 5, PIECE, MIB])
async def test_connections_are_used_again(store: S3Client, key: str, size: int, opened: list[None]) -> None:
    body = os.urandom(size)

    async def one_after_another(worker: int) -> None:
        for number in range(25):
            exchange = await store.open_put(f"{key}/{worker}/{number}", size)
            await send(exchange, body)
            await exchange.finish()

    await asyncio.gather(*(one_after_another(worker) for worker in range(4)))
    assert len(opened) == 4


async def test_ranges_and_if_match(store: S3Client, key: str) -> None:
    stored = await store.put_bytes(key, b"0123456789")
    async with store.get(key, byte_range=ByteRange(2, 4), if_match=stored.etag) as download:
        assert (download.status, download.size_bytes) == (206, 3)
        assert download.info.size_bytes == 10
        assert b"".join([piece async for piece in download.pieces()]) == b"234"
    with pytest.raises(PreconditionFailedError):
        async with store.get(key, if_match='"0123"'):
            pass
    with pytest.raises(RangeError):
        async with store.get(key, byte_range=ByteRange(10, 12)):
            pass


async def test_a_download_left_early_does_not_poison_the_pool(store: S3Client, key: str) -> None:
    await store.put_bytes(key, os.urandom(8 * MIB))
    async with store.get(key) as download:
        async for _ in download.pieces():
            break
    assert (await store.head(key)).size_bytes == 8 * MIB


async def test_copy_keeps_or_replaces_facts(store: S3Client, key: str) -> None:
    stored = await store.put_bytes(key, b"body", content_type="text/css", meta={"a": "1"})
    copied = await store.copy(key, key + "-copy", source_etag=stored.etag)
    info = await store.head(key + "-copy")
    assert same_etag(copied.etag, stored.etag)
    assert (info.content_type, info.meta) == ("text/css", {"a": "1"})
    await store.copy(key, key + "-other", content_type="image/png", meta={"b": "2"})
    info = await store.head(key + "-other")
    assert (info.content_type, info.meta) == ("image/png", {"b": "2"})
    with pytest.raises(PreconditionFailedError):
        await store.copy(key, key + "-third", source_etag='"00"')
    with pytest.raises(NotFoundError):
        await store.copy(key + "-none", key)


async def test_delete_one_and_many(store: S3Client, key: str) -> None:
    names = [f"{key}/{number} + ü&<.txt" for number in range(3)]
    for name in names:
        await store.put_bytes(name, b"x")
    await store.delete(names[0])
    await store.delete(names[0])
    assert await store.delete_many([*names, key + "-none"]) == {}
    assert [await exists(store, name) for name in names] == [False] * 3
    assert await store.delete_many([]) == {}


async def test_list_pages_by_key(store: S3Client, key: str) -> None:
    names = [f"{key}/{number}" for number in range(5)]
    for name in names:
        await store.put_bytes(name, name.encode())
    first = await store.list_objects(f"{key}/", limit=2)
    rest = await store.list_objects(f"{key}/", after=first[-1].key)
    assert [entry.key for entry in [*first, *rest]] == names
    assert first[0].size_bytes == len(names[0])
    assert first[0].etag == (await store.head(names[0])).etag


async def test_an_unreachable_store_is_unavailable(
    store: S3Client, key: str, address: S3Address, observed: Observed
) -> None:
    with pytest.raises(NotFoundError) as caught:
        await store.head(key)
    assert (caught.value.status, caught.value.op) == (404, "head_object")
    assert abs(await store.check()) < 60
    nowhere = replace(address, endpoint="http://127.0.0.1:1")
    async with open_client(nowhere, World(), observed) as away:
        with pytest.raises(UnavailableError):
            await away.open_put(key, 1)
    assert observed[-1] == ("put_object", "unavailable")


async def test_every_request_is_observed_once(
    store: S3Client, key: str, observed: list[tuple[str, str]]
) -> None:
    await store.put_bytes(key, b"x")
    exchange = await store.open_put(key, 1, if_none_match=True)
    await exchange.write(b"y")
    with pytest.raises(PreconditionFailedError):
        await exchange.finish()
    async with store.get(key) as download:
        assert [piece async for piece in download.pieces()] == [b"x"]
    with pytest.raises(NotFoundError):
        await store.head(key + "-none")
    assert observed == [
        ("put_object", "ok"),
        ("put_object", "precondition"),
        ("get_object", "ok"),
        ("head_object", "not_found"),
    ]
