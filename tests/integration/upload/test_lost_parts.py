"""The store dropped what was accepted: the client is told so, once and clearly, and begins again."""

from __future__ import annotations

from collections.abc import Awaitable
from hashlib import sha256
from uuid import UUID

import aiohttp
import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.upload.errors import BYTES_GONE
from services.upload.model import Send, Session, State
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of, body, incompressible
from tests.integration.upload.test_crashes import direct

pytestmark = pytest.mark.integration


async def refused(call: Awaitable[object], code: str) -> Fault:
    with pytest.raises(Fault) as caught:
        await call
    assert caught.value.code == code
    return caught.value


async def session_of(bench: Bench, upload: UUID) -> Session:
    return (await bench.services.management.status(upload, bench.user_id)).session


async def drop(bench: Bench, upload: UUID) -> None:
    """As the store does with uploads that were opened long ago."""
    session = await session_of(bench, upload)
    await bench.store.abort_multipart(session.storage_key, session.storage_upload_id or "")


async def failed(bench: Bench, upload: UUID) -> None:
    session = await session_of(bench, upload)
    assert session.status is State.FAILED
    assert (session.error_code, session.error_message) == ("upload_failed", BYTES_GONE)


async def test_the_next_part_says_so_and_every_later_chunk(bench: Bench) -> None:
    first, tail = incompressible(5 * MIB), incompressible(10)
    upload = await bench.open(10 * MIB + len(tail))
    await bench.send(upload, 0, first)
    await drop(bench, upload)
    told = await refused(bench.send(upload, 1, incompressible(5 * MIB)), "upload_failed")
    assert told.message == BYTES_GONE
    await failed(bench, upload)
    for index, data in ((0, first), (1, first), (2, tail), (3, b"")):
        assert (await refused(bench.send(upload, index, data), "upload_failed")).message == BYTES_GONE
    await bench.services.management.abort(upload, bench.user_id)


async def test_without_an_accepted_part_the_next_one_opens_another(bench: Bench) -> None:
    first, tail = incompressible(5 * MIB), incompressible(10)
    upload = await bench.open(len(first) + len(tail))
    another = Send(upload, bench.user_id, 0, len(first), sha256(tail).hexdigest())
    await refused(bench.services.chunks.receive(another, body(first)), "checksum_mismatch")
    await drop(bench, upload)
    await refused(bench.send(upload, 0, first), "dependency_unavailable")
    await bench.send(upload, 0, first)
    assert (await bench.send(upload, 1, tail)).status is State.COMPLETED
    assert await bench.content(upload) == first + tail


@pytest.mark.parametrize("sizes", [[5 * MIB, 10], [10, 5 * MIB], [10, 5 * MIB, 4 * MIB]])
async def test_finishing_says_so(bench: Bench, sizes: list[int]) -> None:
    """The last chunk to come is a temporary object, which the store takes."""
    upload, slices = await bench.open(sum(sizes)), [incompressible(size) for size in sizes]
    tail = sizes.index(10)
    for index in [index for index in range(len(sizes)) if index != tail]:
        await bench.send(upload, index, slices[index])
    await drop(bench, upload)
    await refused(bench.send(upload, tail, slices[tail]), "upload_failed")
    await failed(bench, upload)
    told = await refused(bench.send(upload, tail, slices[tail]), "upload_failed")
    assert told.message == BYTES_GONE


async def test_a_direct_upload_is_told_when_it_completes(bench: Bench) -> None:
    async with aiohttp.ClientSession() as http:
        upload = await direct(bench, http, incompressible(6 * MIB))
    await drop(bench, upload)
    for _ in range(2):
        told = await refused(bench.services.multipart.complete(upload, bench.user_id), "upload_failed")
        assert told.message == BYTES_GONE
        await failed(bench, upload)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["parts", "repack"])
async def test_parts_forgotten_while_they_were_joined(own_settings: Settings, order: list[int]) -> None:
    """As after a kill in the middle of the store's completion."""
    sizes = [5 * MIB, MIB] if order[0] == 0 else [MIB, 5 * MIB]
    first, last = order
    async with bench_of(own_settings) as bench:
        upload, slices = await bench.open(6 * MIB), [incompressible(size) for size in sizes]
        await bench.send(upload, first, slices[first])
        await bench.database.execute(Statement("test", "UPDATE upload_chunks SET etag = repeat('0', 32)"))
        await refused(bench.send(upload, last, slices[last]), "upload_failed")
        await failed(bench, upload)  # and nobody tries for 15 minutes
