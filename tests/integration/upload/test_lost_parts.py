"""The store dropped what was accepted: the client is told so, once and clearly, and begins again."""

from __future__ import annotations

from collections.abc import Awaitable
from hashlib import sha256
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.kit.s3 import InvalidPartError, Part, S3Client, Stored
from services.upload.errors import BYTES_GONE
from services.upload.model import Send, Session, State
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, Registry, bench_of, body, incompressible
from tests.integration.upload.test_crashes import direct
from tests.integration.upload.test_finalisation import reached

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


class Returned:
    """A store in which an upload that was completed comes back without its parts."""

    def __init__(self, store: S3Client) -> None:
        self._complete, self.completed = store.complete_multipart, 0

    async def complete_multipart(self, *given: Any, **named: Any) -> Stored:
        self.completed += 1
        if self.completed > 1:
            raise InvalidPartError("complete_multipart", 400, "InvalidPart")
        return await self._complete(*given, **named)

    async def list_parts(self, key: str, upload_id: str) -> list[Part]:
        return []

    def put_into(self, bench: Bench, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(bench.store, "complete_multipart", self.complete_multipart, raising=False)
        patch.setattr(bench.store, "list_parts", self.list_parts, raising=False)


async def test_an_upload_that_comes_back_was_joined_before(
    own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registration is tried again, and the object is there."""
    async with bench_of(own_settings, registry=Registry(refusals=1)) as bench:
        upload, slices = await bench.open(6 * MIB), [incompressible(5 * MIB), incompressible(MIB)]
        Returned(bench.store).put_into(bench, monkeypatch)
        await bench.send(upload, 0, slices[0])
        await refused(bench.send(upload, 1, slices[1]), "dependency_unavailable")
        await reached(bench, upload, "completed")
        assert await bench.content(upload) == b"".join(slices)


async def test_a_direct_upload_that_comes_back_was_completed_before(
    own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = incompressible(6 * MIB)
    async with bench_of(own_settings, registry=Registry(refusals=1)) as bench:
        async with aiohttp.ClientSession() as http:
            upload = await direct(bench, http, data)
        Returned(bench.store).put_into(bench, monkeypatch)
        await refused(bench.services.multipart.complete(upload, bench.user_id), "dependency_unavailable")
        await reached(bench, upload, "completed")
        assert await bench.content(upload) == data
