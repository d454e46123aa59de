"""A process dies anywhere in a finalisation: the next one of its name finishes the upload, once."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from uuid import UUID

import aiohttp
import pytest

from services.upload.model import RegisteredPart, State
from services.upload.service.opening import Wanted
from services.upload.settings import Settings
from tests.integration.upload.conftest import (
    MIB,
    Bench,
    Died,
    Registry,
    bench_of,
    incompressible,
)

pytestmark = pytest.mark.integration

WHOLE, PARTS = [MIB], [5 * MIB, 5 * MIB, MIB]
TAIL_FIRST = ([5 * MIB, 5 * MIB, MIB], [2, 0, 1])
ODD = [MIB, 6 * MIB, 3 * MIB, 5 * MIB]

# (sizes, order, checksum, operation of the store, before or after, which call)
STORE_DEATHS: dict[str, tuple[list[int], list[int] | None, bool, str, str, int]] = {
    "copy of a whole file, before": (WHOLE, None, False, "copy", "before", 1),
    "copy of a whole file, after": (WHOLE, None, False, "copy", "after", 1),
    "completion of parts, before": (PARTS, None, True, "complete_multipart", "before", 1),
    "completion of parts, after": (PARTS, None, True, "complete_multipart", "after", 1),
    "copy of a tail, after": (*TAIL_FIRST, True, "copy_part", "after", 1),
    "completion with a tail, after": (*TAIL_FIRST, True, "complete_multipart", "after", 1),
    "joining for a repack, before": (ODD, None, True, "complete_multipart", "before", 1),
    "joining for a repack, after": (ODD, None, True, "complete_multipart", "after", 1),
    "opening a repack, after": (ODD, None, True, "create_multipart", "after", 2),
    "filling a repack, after": (ODD, None, True, "put_part_bytes", "after", 1),
    "copying in a repack, after": ([MIB, 10 * MIB, 3 * MIB], None, True, "copy_part", "after", 1),
    "completing a repack, before": (ODD, None, True, "complete_multipart", "before", 2),
    "completing a repack, after": (ODD, None, True, "complete_multipart", "after", 2),
    "tiny slices put, after": ([10, 20], None, True, "put_bytes", "after", 1),
}


@asynccontextmanager
async def successor(settings: Settings, dead: Bench) -> AsyncIterator[Bench]:
    """The restarted process: it holds the name's lock and takes back what the dead one held."""
    async with bench_of(settings, registry=dead.registry, user_id=dead.user_id) as bench:
        dead.registry.died = None
        await bench.finaliser.take_back("one")
        yield bench


async def send_all(bench: Bench, slices: list[bytes], order: list[int] | None, *, checksum: bool) -> UUID:
    upload = await bench.open(sum(map(len, slices)))
    with pytest.raises(Died):
        for index in order or range(len(slices)):
            await bench.send(upload, index, slices[index], checksum=checksum)
    return upload


async def durable_once(bench: Bench, upload: UUID, file: bytes) -> None:
    session = (await bench.services.management.status(upload, bench.user_id)).session
    await bench.finaliser.join(session.id)
    assert await bench.status(upload) == "completed"
    assert await bench.content(upload) == file
    _, made = bench.registry.rows[upload]
    assert made.etag == (await bench.store.head(session.storage_key)).etag
    await bench.cleaner.drain(10)
    assert await bench.leftovers(upload) == []


@pytest.mark.parametrize("name", STORE_DEATHS)
async def test_death_around_a_request_to_the_store(own_settings: Settings, name: str) -> None:
    sizes, order, checksum, op, when, count = STORE_DEATHS[name]
    slices = [incompressible(size) for size in sizes]
    async with bench_of(own_settings, dies=(op, when, count)) as dead:
        upload = await send_all(dead, slices, order, checksum=checksum)
        assert upload not in dead.registry.rows
        async with successor(own_settings, dead) as bench:
            await durable_once(bench, upload, b"".join(slices))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("sizes", [WHOLE, PARTS, ODD], ids=["whole", "parts", "odd"])
async def test_death_around_the_registration(own_settings: Settings, sizes: list[int], when: str) -> None:
    slices = [incompressible(size) for size in sizes]
    async with bench_of(own_settings, registry=Registry(died=when)) as dead:
        upload = await send_all(dead, slices, None, checksum=True)
        async with successor(own_settings, dead) as bench:
            await durable_once(bench, upload, b"".join(slices))


async def test_a_resend_joins_the_restarted_job(own_settings: Settings) -> None:
    data = incompressible(MIB)
    async with bench_of(own_settings, registry=Registry(died="before")) as dead:
        upload = await send_all(dead, [data], None, checksum=True)
        async with successor(own_settings, dead) as bench:
            taken = await bench.send(upload, 0, data)
            assert taken.status is State.COMPLETED


@pytest.mark.parametrize("checksum", [True, False])
async def test_bytes_stored_but_never_accepted_do_not_stand_in_the_way(
    own_settings: Settings, checksum: bool
) -> None:
    """The process died between the store's answer and the accept statement."""
    data, other = incompressible(MIB), incompressible(MIB)
    async with bench_of(own_settings) as bench:
        upload = await bench.open(MIB)
        stale = {"sha256": sha256(data).hexdigest()}
        await bench.store.put_bytes(f"users/{bench.user_id}/{upload}", data, meta=stale)
        sent = data if checksum else other
        assert (await bench.send(upload, 0, sent, checksum=checksum)).status is State.COMPLETED
        assert await bench.content(upload) == sent


async def direct(bench: Bench, http: aiohttp.ClientSession, data: bytes) -> UUID:
    """A multipart upload, ready to be completed."""
    opened = await bench.services.multipart.open(Wanted(bench.user_id, "file.bin", len(data), None), 5 * MIB)
    for part in opened.parts:
        piece = data[(part.number - 1) * 5 * MIB : part.number * 5 * MIB]
        async with http.put(part.url, data=io.BytesIO(piece)) as answer:
            assert answer.status == 200
            registered = RegisteredPart(part.number, len(piece), answer.headers["ETag"])
        await bench.services.multipart.register(opened.session.upload_uuid, bench.user_id, registered)
    return opened.session.upload_uuid


@pytest.mark.parametrize("when", ["before", "after"])
async def test_death_while_a_direct_upload_is_completed(own_settings: Settings, when: str) -> None:
    data, dies = incompressible(6 * MIB), ("complete_multipart", when, 1)
    async with aiohttp.ClientSession() as http, bench_of(own_settings, dies=dies) as dead:
        upload = await direct(dead, http, data)
        with pytest.raises(Died):
            await dead.services.multipart.complete(upload, dead.user_id)
        async with successor(own_settings, dead) as bench:
            await durable_once(bench, upload, data)
            again = await bench.services.multipart.complete(upload, bench.user_id)
            assert again.status is State.COMPLETED


async def test_death_of_a_single_upload_at_its_registration(own_settings: Settings) -> None:
    data = incompressible(1000)
    async with (
        aiohttp.ClientSession() as http,
        bench_of(own_settings, registry=Registry(died="after")) as dead,
    ):
        opened = await dead.services.single.open(Wanted(dead.user_id, "file.bin", 1000, None))
        upload = opened.session.upload_uuid
        async with http.put(opened.url or "", data=data) as answer:
            assert answer.status == 200
        with pytest.raises(Died):
            await dead.services.single.complete(upload, dead.user_id, None)
        async with successor(own_settings, dead) as bench:
            await durable_once(bench, upload, data)
