"""A finalisation is interrupted at every moment in turn: the next attempt finishes the upload, once.

Every shape of upload; a process that dies before the moment, and an answer that gets lost after it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import aiohttp
import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.upload.model import Method, RegisteredPart, Session, State
from services.upload.service.opening import Wanted
from services.upload.settings import Settings
from tests.integration.upload.conftest import (
    MIB,
    Bench,
    Registry,
    bench_of,
    incompressible,
)
from tests.integration.upload.ends import change, swept
from tests.integration.upload.interruption import Died, Interruption, When

pytestmark = pytest.mark.integration

# Instead of waiting for the end of leases, and of pauses between attempts, by the database's clock.
LEASES_END = Statement("test", "UPDATE upload_sessions SET job_due_at = now() WHERE lease_owner IS NOT NULL")
PAUSES_END = Statement(
    "test",
    "UPDATE upload_sessions SET job_due_at = now() WHERE job_due_at IS NOT NULL AND lease_owner IS NULL",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is cut, in which order it arrives, and where chunks wait.

    ``moments``: what its finalisation does, when nothing happens.
    """

    sizes: list[int]
    moments: str
    order: list[int] | None = None
    checksum: bool = True
    chunk_store: str = "s3"
    method: Method = Method.PROXY


END = "register job_finish"
JOIN = "job_step complete_multipart"
SHAPES = {
    "no bytes": Shape([], f"put_bytes {END}"),
    "at the final key": Shape([1000], END),
    "one temporary object": Shape([1000], f"copy {END}", checksum=False),
    "parts": Shape([5 * MIB, 10], f"complete_multipart {END}"),
    "parts and an early tail": Shape(
        [5 * MIB, 5 * MIB, 10], f"copy_part complete_multipart {END}", [2, 0, 1]
    ),
    "small repack": Shape([10, 5 * MIB], f"{JOIN} get get job_step put_bytes {END}", [1, 0]),
    "small repack of slices": Shape([10, 20], f"get get job_step put_bytes {END}"),
    "small repack from disk": Shape([10, 20], f"job_step put_bytes {END}", chunk_store="disk"),
    "large repack": Shape(
        [10, 10 * MIB],
        f"{JOIN} create_multipart job_step get get put_part_bytes copy_part {JOIN} {END}",
        [1, 0],
    ),
    "multipart": Shape([5 * MIB, 10], f"complete_multipart {END}", method=Method.MULTIPART),
    "single": Shape([1000], f"head {END}", method=Method.SINGLE),
}


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that only lacks its last request."""

    file: bytes
    last: Callable[[], Awaitable[object]]

    @classmethod
    async def prepared(cls, bench: Bench, http: aiohttp.ClientSession, shape: Shape) -> Upload:
        slices = [incompressible(size) for size in shape.sizes]
        file, services = b"".join(slices), bench.services
        if not slices:
            return cls(file, lambda: bench.open(0))
        if shape.method is Method.MULTIPART:
            upload = await direct(bench, http, file)
            return cls(file, lambda: services.multipart.complete(upload, bench.user_id))
        if shape.method is Method.SINGLE:
            single = await services.single.open(Wanted(bench.user_id, "file.bin", len(file), None))
            async with http.put(single.url or "", data=file) as answer:
                assert answer.status == 200
            return cls(
                file, lambda: services.single.complete(single.session.upload_uuid, bench.user_id, None)
            )
        upload = await bench.open(len(file))
        *others, last = shape.order or range(len(slices))
        for index in others:
            await bench.send(upload, index, slices[index], checksum=shape.checksum)
        return cls(file, lambda: bench.send(upload, last, slices[last], checksum=shape.checksum))


async def newest(bench: Bench) -> Session:
    page, _ = await bench.services.management.own(bench.user_id, ended_too=True, page=1, size=1)
    return page[0].session


async def finished(bench: Bench, file: bytes) -> Session:
    """Tick as the background does until the newest upload is complete; nothing may be given up."""
    await bench.database.execute(LEASES_END)
    async with asyncio.timeout(30):
        while (session := await newest(bench)).status is not State.COMPLETED:
            assert session.status is not State.FAILED, session.error_message
            await bench.database.execute(PAUSES_END)
            await bench.finaliser.tick()
            await asyncio.sleep(0.005)  # the task of the attempt gets its turns
    assert await bench.content(session.upload_uuid) == file
    registered, made = bench.registry.rows[session.upload_uuid]
    assert made.etag == session.etag == (await bench.store.head(session.storage_key)).etag
    assert registered.mime_type == session.mime_type
    return session


@pytest.mark.parametrize("name", SHAPES)
async def test_every_moment(own_settings: Settings, name: str) -> None:
    shape = SHAPES[name]
    settings = own_settings.model_copy(update={"chunk_store": shape.chunk_store})
    interruption = Interruption()
    async with (
        aiohttp.ClientSession() as http,
        bench_of(settings, interruption=interruption) as bench,
        bench_of(settings, registry=bench.registry, user_id=bench.user_id) as heir,
    ):
        upload = await Upload.prepared(bench, http, shape)
        interruption.arm(0, When.BEFORE, interruption.dies)
        await upload.last()
        assert interruption.seen == shape.moments.split()
        for number in range(1, len(interruption.seen) + 1):
            upload = await Upload.prepared(bench, http, shape)
            interruption.arm(number, When.BEFORE, interruption.dies)
            with pytest.raises(Died):
                await upload.last()
            interruption.disarm()
            await heir.finaliser.take_back("one")
            await finished(heir, upload.file)
            upload = await Upload.prepared(bench, http, shape)
            interruption.arm(number, When.AFTER, interruption.loses_the_answer)
            with pytest.raises(Fault) as caught:
                await upload.last()
            assert caught.value.code == "dependency_unavailable"
            interruption.disarm()
            await finished(bench, upload.file)


async def test_a_repack_that_was_never_recorded_is_looked_for_again(own_settings: Settings) -> None:
    """The store lists it by its key alone: by the bucket it lists nothing older than its own start."""
    settings = own_settings.model_copy(update={"chunk_store": "disk"})
    interruption = Interruption()
    shape = Shape([10, 9 * MIB], "", chunk_store="disk")
    async with (
        aiohttp.ClientSession() as http,
        bench_of(settings, interruption=interruption) as bench,
        bench_of(settings, registry=bench.registry, user_id=bench.user_id) as heir,
    ):
        upload = await Upload.prepared(bench, http, shape)
        interruption.arm(2, When.BEFORE, interruption.dies)
        with pytest.raises(Died):
            await upload.last()
        assert interruption.seen == ["create_multipart", "job_step"]
        await heir.finaliser.take_back("one")
        session = await finished(heir, upload.file)
        unrecorded = len(await heir.store.list_uploads(session.storage_key))
        assert unrecorded > 0
        await change(
            heir, session.upload_uuid, "clean_after = CASE WHEN clean_after IS NOT NULL THEN now() END"
        )
        assert await swept(heir) == {"multipart": unrecorded}
        assert await heir.content(session.upload_uuid) == upload.file


@asynccontextmanager
async def successor(settings: Settings, dead: Bench) -> AsyncIterator[Bench]:
    """The restarted process: it holds the name's lock and takes back what the dead one held."""
    async with bench_of(settings, registry=dead.registry, user_id=dead.user_id) as bench:
        dead.registry.died = None
        await bench.finaliser.take_back("one")
        yield bench


async def test_a_resend_joins_the_restarted_job(own_settings: Settings) -> None:
    data = incompressible(MIB)
    async with bench_of(own_settings, registry=Registry(died="before")) as dead:
        upload = await dead.open(len(data))
        with pytest.raises(Died):
            await dead.send(upload, 0, data)
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
