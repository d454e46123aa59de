"""Multipart uploads against a real store."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256

import pytest

from services.kit.clock import World
from services.kit.s3 import (
    ByteRange,
    ChecksumMismatchError,
    InvalidPartError,
    NoSuchUploadError,
    NotFoundError,
    Part,
    S3Address,
    S3Client,
    UnavailableError,
    open_client,
    same_etag,
)
from tests.chaos.fault_proxy import FaultProxy, Rule
from tests.chaos.plan import Action

pytestmark = pytest.mark.integration
MIB = 1_048_576
PART_BYTES = 5 * MIB


async def part(store: S3Client, key: str, upload_id: str, number: int, body: bytes) -> Part:
    exchange = await store.open_part(
        key, upload_id, number, len(body), payload_sha256=sha256(body).hexdigest()
    )
    await exchange.write(body)
    await exchange.drained()
    stored = await exchange.finish()
    return Part(number, stored.etag, len(body))


async def size(store: S3Client, key: str) -> int | None:
    try:
        return (await store.head(key)).size_bytes
    except NotFoundError:
        return None


async def test_gaps_between_numbers_and_a_small_last_part(store: S3Client, key: str) -> None:
    upload_id = await store.create_multipart(key, content_type="image/png", meta={"a": "b"})
    first, last = os.urandom(PART_BYTES), os.urandom(17)
    parts = [await part(store, key, upload_id, 11, first)]
    unused = await part(store, key, upload_id, 22, b"left out")
    parts.append(await part(store, key, upload_id, 21, last))
    listed = await store.list_parts(key, upload_id)
    assert listed == [*parts, unused]
    stored = await store.complete_multipart(key, upload_id, parts)
    info = await store.head(key)
    assert (info.size_bytes, info.content_type, info.meta) == (PART_BYTES + 17, "image/png", {"a": "b"})
    assert same_etag(stored.etag, info.etag)
    async with store.get(key) as download:
        digest = sha256()
        async for piece in download.pieces():
            digest.update(piece)
    assert digest.digest() == sha256(first + last).digest()


async def test_list_parts_reads_every_page(store: S3Client, key: str) -> None:
    upload_id = await store.create_multipart(key)
    for number in range(1, 1_003):
        await store.put_part_bytes(key, upload_id, number, b"x")
    numbers = [entry.number for entry in await store.list_parts(key, upload_id)]
    assert numbers == list(range(1, 1_003))
    await store.abort_multipart(key, upload_id)


async def test_small_part_and_wrong_etag_are_refused_and_the_upload_stays_open(
    store: S3Client, key: str
) -> None:
    upload_id = await store.create_multipart(key)
    parts = [await part(store, key, upload_id, number, b"small") for number in (1, 2)]
    with pytest.raises(InvalidPartError) as caught:
        await store.complete_multipart(key, upload_id, parts)
    assert caught.value.code == "EntityTooSmall"
    with pytest.raises(InvalidPartError):
        await store.complete_multipart(key, upload_id, [Part(1, '"' + "0" * 32 + '"')])
    assert len(await store.list_parts(key, upload_id)) == 2
    assert await size(store, key) is None


async def test_abort_and_what_comes_after(store: S3Client, key: str) -> None:
    upload_id = await store.create_multipart(key)
    only = await part(store, key, upload_id, 1, b"x")
    await store.abort_multipart(key, upload_id)
    await store.abort_multipart(key, upload_id)
    with pytest.raises(NoSuchUploadError):
        await store.list_parts(key, upload_id)
    with pytest.raises(NoSuchUploadError):
        await store.complete_multipart(key, upload_id, [only])
    with pytest.raises(NoSuchUploadError):
        await store.put_part_bytes(key, upload_id, 1, b"x")


@pytest.mark.parametrize(("open_still", "error"), [(False, NoSuchUploadError), (True, UnavailableError)])
async def test_a_part_whose_answer_is_lost(
    address: S3Address, store: S3Client, key: str, open_still: bool, error: type[Exception]
) -> None:
    """Some stores refuse a part by breaking the connection: whether the upload is gone is asked for then."""
    upload_id, body = await store.create_multipart(key), os.urandom(MIB)
    if not open_still:
        await store.abort_multipart(key, upload_id)
    with FaultProxy() as proxy:
        behind = replace(address, endpoint=f"http://127.0.0.1:{proxy.listen('store', address.endpoint)}")
        async with open_client(behind, World(), lambda *_: None) as client:
            proxy.arm([Rule("store", "upload_part", Action.RESET, skip=0, count=1, stall_s=0)])
            with pytest.raises(error):
                await part(client, key, upload_id, 1, body)
    await store.abort_multipart(key, upload_id)


async def test_a_part_with_a_wrong_hash_is_refused(store: S3Client, key: str) -> None:
    upload_id = await store.create_multipart(key)
    exchange = await store.open_part(key, upload_id, 1, 1, payload_sha256=sha256(b"other").hexdigest())
    await exchange.write(b"x")
    with pytest.raises(ChecksumMismatchError):
        await exchange.finish()
    assert await store.list_parts(key, upload_id) == []


async def test_parts_copied_from_objects(store: S3Client, key: str) -> None:
    body, tail = os.urandom(PART_BYTES + 100), b"the tail"
    whole = await store.put_bytes(key + "-source", body)
    await store.put_bytes(key + "-tail", tail)
    upload_id = await store.create_multipart(key)
    first = await store.copy_part(
        key,
        upload_id,
        1,
        key + "-source",
        byte_range=ByteRange(100, len(body) - 1),
        source_etag=whole.etag,
    )
    second = await store.copy_part(key, upload_id, 2, key + "-tail")
    await store.complete_multipart(key, upload_id, [Part(1, first.etag), Part(2, second.etag)])
    async with store.get(key) as download:
        assert b"".join([piece async for piece in download.pieces()]) == body[100:] + tail


async def test_open_uploads_of_one_key_and_of_the_bucket(store: S3Client, key: str) -> None:
    """Two uploads of one key, one of its neighbour's; a key that only begins alike is another key."""
    first, second = [await store.create_multipart(key) for _ in range(2)]
    neighbour = await store.create_multipart(f"{key}0")
    assert {upload.upload_id for upload in await store.list_uploads(key)} == {first, second}
    everywhere = {(upload.key, upload.upload_id) for upload in await store.list_uploads()}
    assert {(key, first), (key, second), (f"{key}0", neighbour)} <= everywhere
    assert await store.list_uploads(key[:-1]) == []
    for owner, upload_id in ((key, first), (key, second), (f"{key}0", neighbour)):
        await store.abort_multipart(owner, upload_id)
    assert await store.list_uploads(key) == []
