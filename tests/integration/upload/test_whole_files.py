"""Files in one request: what is stored, what a broken one leaves, and who comes again with its key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from services.kit.db import Statement
from services.kit.errors import Fault, unavailable
from services.kit.s3 import S3Client, StreamedPut
from services.kit.s3.errors import UnavailableError
from services.upload.body_modes.memory import Memory
from services.upload.chunk_store.spool import Spool, SpoolFile
from services.upload.model import State
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, Registry, bench_of, body, incompressible
from tests.integration.upload.ends import change
from tests.integration.upload.test_crashes import finished
from tests.integration.upload.whole import MODES, nothing_stays, rows, send, wanted

pytestmark = pytest.mark.integration

modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Spool files that take nothing."""

    def opened(self: Spool, upload_uuid: UUID, name: str) -> SpoolFile:
        return SpoolFile(Path("never", name), Path("/dev/full").open("wb", buffering=0))

    with patch.object(Spool, "_open", opened):
        yield


lengths = pytest.mark.parametrize("known", [True, False], ids=["known length", "unknown length"])
_EXPIRE = Statement("test_expire", "UPDATE upload_sessions SET expires_at = now() WHERE user_id = $1")


async def fault(call: Awaitable[object]) -> Fault:
    with pytest.raises(Fault) as caught:
        await call
    return caught.value


async def broken_off(data: bytes) -> AsyncIterator[bytes]:
    """The client leaves when all but its last byte is here."""
    async for piece in body(data[:-1]):
        yield piece
    raise ConnectionResetError("gone")


@modes
@lengths
@pytest.mark.parametrize("size", [0, 1, MIB, 8 * MIB, 8 * MIB + 1, 17 * MIB])
async def test_every_byte_is_there(bench: Bench, mode: str, known: bool, size: int) -> None:
    data = incompressible(size)
    upload = await send(bench, data, mode, known=known)
    assert await bench.content(upload) == data
    _, made = bench.registry.rows[upload]
    found = await bench.store.head(f"users/{bench.user_id}/{upload}")
    assert (made.etag, found.content_type) == (found.etag, "application/octet-stream")
    (row,) = await rows(bench)
    assert (row["file_size_bytes"], row["checksum"]) == (size, made.checksum)
    assert await bench.base.spool.files() == []


@modes
@lengths
@pytest.mark.parametrize("size", [MIB, 17 * MIB])
async def test_a_client_that_leaves_leaves_nothing(bench: Bench, mode: str, known: bool, size: int) -> None:
    data = incompressible(size)
    with pytest.raises(ConnectionResetError):
        await send(bench, data, mode, known=known, pieces=broken_off(data), key="k")
    await nothing_stays(bench)


@modes
@pytest.mark.parametrize("size", [MIB, 17 * MIB])
async def test_a_body_that_is_too_short_or_another_one_leaves_nothing(
    settings: Settings, mode: str, size: int
) -> None:
    data = incompressible(size)
    for pieces, code in ((body(data[:-1]), "size_mismatch"), (body(data[:-1] + b"x"), "checksum_mismatch")):
        async with bench_of(settings) as bench:
            refused = await fault(send(bench, data, mode, checksum=True, pieces=pieces, key="k"))
            assert refused.code == code
            assert refused.details is None
            await nothing_stays(bench)


@modes
async def test_the_type_does_not_depend_on_how_the_bytes_are_cut(bench: Bench, mode: str) -> None:
    tar = bytes(257) + b"ustar" + bytes(1000)
    for piece_bytes in (1, 100, 2000):
        upload = await send(bench, tar, mode, pieces=body(tar, piece_bytes), name="archive")
        assert (await bench.store.head(f"users/{bench.user_id}/{upload}")).content_type == "application/x-tar"
        assert bench.registry.rows[upload][0].mime_type == "application/x-tar"


class TestOwner:
    @modes
    @lengths
    async def test_an_abort_while_it_is_received(self, bench: Bench, mode: str, known: bool) -> None:
        """The sender finds out when all is here, and removes what it wrote."""
        data = incompressible(9 * MIB)

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in body(data[:-1]):
                yield piece
            (row,) = await rows(bench)
            await bench.services.management.abort(row["upload_uuid"], bench.user_id)
            await bench.cleaner.drain(10)
            yield data[-1:]

        assert (await fault(send(bench, data, mode, known=known, pieces=pieces()))).code == "upload_aborted"
        await bench.cleaner.drain(10)
        await nothing_stays(bench)

    async def test_the_limit_of_open_uploads(self, settings: Settings) -> None:
        async with bench_of(settings.model_copy(update={"max_open_uploads": 1})) as bench:
            await bench.open(1)
            assert (await fault(send(bench, b"abcd"))).code == "too_many_open_uploads"
            await bench.database.execute(_EXPIRE, bench.user_id)
            await send(bench, b"abcd")


class TestKey:
    async def test_whoever_died_while_receiving_does_not_keep_its_key(self, bench: Bench) -> None:
        first = await bench.services.whole.begin(wanted(bench, b"abcd", key="k"), "streamed", MIB)
        await bench.database.execute(_EXPIRE, bench.user_id)
        second = await send(bench, b"abcd", key="k")
        old, new = await rows(bench)
        assert (old["upload_uuid"], new["upload_uuid"]) == (first.session.upload_uuid, second)
        assert (old["status"], old["idempotency_key"], old["returned_key"]) == (State.ABORTED, None, "k")
        assert old["clean_after"] is not None

    async def test_whoever_receives_keeps_it(self, bench: Bench) -> None:
        arrival = await bench.services.whole.begin(wanted(bench, b"abcd", key="k"), "streamed", MIB)
        await bench.database.execute(_EXPIRE, bench.user_id)
        await bench.services.whole.renew()
        joining = asyncio.create_task(send(bench, b"abcd", key="k"))
        await arrival.receive(body(b"abcd"))
        session = (await arrival.finish()).session
        assert await joining == session.upload_uuid
        assert len(await rows(bench)) == 1

    async def test_to_be_received_is_to_be_active(self, bench: Bench) -> None:
        """However long a file takes, a sweep of what is idle leaves it alone."""
        arrival = await bench.services.whole.begin(wanted(bench, b"abcd"), "streamed", MIB)
        await change(bench, arrival.session.upload_uuid, "updated_at = now() - interval '1 hour'")
        await bench.services.whole.renew()
        ended = bench.tables.ended
        idle_since = await ended.now() - timedelta(minutes=1)
        assert await ended.expire(idle_since, [bench.user_id], 10) == []
        await arrival.receive(body(b"abcd"))
        assert (await arrival.finish()).session.status is State.COMPLETED

    async def test_the_one_that_is_waited_for_breaks_off(self, bench: Bench) -> None:
        arrival = await bench.services.whole.begin(wanted(bench, b"abcd", key="k"), "streamed", MIB)
        joins = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            joins.set()
            yield b"abcd"

        joining = asyncio.create_task(send(bench, b"abcd", key="k", pieces=pieces()))
        await joins.wait()
        with pytest.raises(ConnectionResetError):
            await arrival.receive(broken_off(b"abcd"))
        refused = await fault(joining)
        assert (refused.code, refused.headers["Retry-After"]) == ("dependency_unavailable", "1")
        await send(bench, b"abcd", key="k")

    async def test_waiting_for_the_other_one_ends(self, settings: Settings) -> None:
        async with bench_of(settings.model_copy(update={"finalise_wait_s": 0.1})) as bench:
            arrival = await bench.services.whole.begin(wanted(bench, b"abcd", key="k"), "streamed", MIB)
            refused = await fault(send(bench, b"abcd", key="k"))
            assert refused.code == "still_finalising"
            assert refused.details == {"upload_uuid": arrival.session.upload_uuid}

    async def test_a_failed_one_goes_on(self, settings: Settings) -> None:
        given = settings.model_copy(update={"finalise_attempts": 1})
        async with bench_of(given, registry=Registry(refusals=1)) as bench:
            assert (await fault(send(bench, b"abcd", key="k"))).code == "upload_failed"
            (row,) = await rows(bench)
            assert row["status"] == State.FAILED
            assert await send(bench, b"abcd", key="k") == row["upload_uuid"]
            assert len(await rows(bench)) == 1


class TestStore:
    @modes
    @lengths
    async def test_it_is_away(self, bench: Bench, mode: str, known: bool) -> None:
        async def away(*_: Any, **__: Any) -> None:
            raise UnavailableError("put_object", 0, "transport")

        with patch.multiple(S3Client, open_put=away, create_multipart=away):
            refused = await fault(send(bench, incompressible(9 * MIB), mode, known=known, key="k"))
        assert (refused.code, refused.details) == ("dependency_unavailable", None)
        await nothing_stays(bench)

    async def test_it_is_away_for_a_part(self, bench: Bench) -> None:
        real, calls = S3Client.open_part, 0

        async def sometimes(self: S3Client, *given: Any, **more: Any) -> StreamedPut:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise UnavailableError("upload_part", 0, "transport")
            return await real(self, *given, **more)

        with patch.object(S3Client, "open_part", sometimes):
            refused = await fault(send(bench, incompressible(30 * MIB), known=False))
        assert refused.code == "dependency_unavailable"
        await nothing_stays(bench)

    @pytest.mark.parametrize(("mode", "known"), [("spooled", True), ("buffered", True), ("streamed", False)])
    async def test_a_body_that_is_held_is_sent_again(self, bench: Bench, mode: str, known: bool) -> None:
        """The first answer gets lost; what is there then is known by its hash."""
        real, calls = StreamedPut.finish, 0

        async def lost_once(self: StreamedPut) -> object:
            nonlocal calls
            calls += 1
            stored = await real(self)
            if calls == 1:
                raise UnavailableError("put_object", 0, "transport")
            return stored

        data = incompressible(MIB)
        with patch.object(StreamedPut, "finish", lost_once):
            upload = await send(bench, data, mode, known=known)
        assert calls == 2
        assert await bench.content(upload) == data


class TestDatabase:
    @pytest.mark.parametrize("size", [4, 9 * MIB])
    async def test_the_answer_of_the_record_gets_lost(self, bench: Bench, size: int) -> None:
        """Nobody knows whether it was recorded: so nothing is removed, and the job brings it to an end."""
        real, data = bench.tables.whole.accept, incompressible(size)

        async def lost(*given: Any) -> None:
            await real(*given)
            raise unavailable("database")

        with patch.object(type(bench.tables.whole), "accept", staticmethod(lost)):
            refused = await fault(send(bench, data, known=False))
        (row,) = await rows(bench)
        assert refused.code == "dependency_unavailable"
        assert refused.details == {"upload_uuid": row["upload_uuid"]}
        assert (await finished(bench, data)).upload_uuid == row["upload_uuid"]

    async def test_registration_is_not_possible(self, settings: Settings) -> None:
        async with bench_of(settings, registry=Registry(refusals=1)) as bench:
            refused = await fault(send(bench, b"abcd"))
            (row,) = await rows(bench)
            assert refused.code == "dependency_unavailable"
            assert refused.details == {"upload_uuid": row["upload_uuid"]}
            async with asyncio.timeout(30):
                while await bench.status(row["upload_uuid"]) != "completed":
                    await bench.finaliser.tick()
                    await asyncio.sleep(0.01)


class TestRoom:
    async def test_the_spool_disk_is_nearly_full(self, bench: Bench) -> None:
        object.__setattr__(bench.base.spool, "_usage", lambda _: (100 * MIB, 0, 11 * MIB))
        await send(bench, incompressible(MIB), "spooled")
        refused = await fault(send(bench, incompressible(2 * MIB), "spooled"))
        assert refused.code == "insufficient_storage"

    async def test_it_fills_while_a_body_comes(self, bench: Bench) -> None:
        free = iter([100] * 4 + [9] * 100)
        object.__setattr__(bench.base.spool, "_usage", lambda _: (100, 0, next(free)))
        refused = await fault(send(bench, incompressible(2 * MIB), "spooled", known=False))
        assert refused.code == "insufficient_storage"
        await nothing_stays(bench)

    async def test_it_is_full(self, bench: Bench, full_disk: None) -> None:
        refused = await fault(send(bench, incompressible(MIB), "spooled"))
        assert refused.code == "insufficient_storage"
        await nothing_stays(bench)

    async def test_it_is_full_for_chunks(self, settings: Settings, full_disk: None) -> None:
        async with bench_of(settings.model_copy(update={"chunk_store": "disk"})) as bench:
            for size in (5, MIB):
                upload = await bench.open(2 * MIB)
                refused = await fault(bench.send(upload, 0, incompressible(size)))
                assert refused.code == "insufficient_storage"
                assert (await bench.services.management.status(upload, bench.user_id)).received_bytes == 0

    async def test_the_largest_buffered_file(self, settings: Settings) -> None:
        async with bench_of(settings.model_copy(update={"buffered_max_bytes": MIB})) as bench:
            await send(bench, bytes(MIB), "buffered")
            for known in (True, False):
                refused = await fault(send(bench, bytes(MIB + 1), "buffered", known=known))
                assert refused.code == "body_too_large"

    async def test_the_largest_file(self, settings: Settings) -> None:
        async with bench_of(settings.model_copy(update={"proxy_max_bytes": MIB})) as bench:
            for mode in MODES:
                await send(bench, bytes(MIB), mode)
                assert (await fault(send(bench, bytes(MIB + 1), mode))).code == "file_too_large"
                refused = await fault(send(bench, bytes(MIB + 1), mode, known=False))
                assert refused.code == "body_too_large"

    async def test_memory_is_taken_for_what_is_held(self, settings: Settings) -> None:
        given = settings.model_copy(update={"body_memory_bytes": 16 * MIB})
        with patch("services.upload.assembly.Memory", partial(Memory, wait_s=0.1)):
            async with bench_of(given) as bench:
                other = await bench.services.whole.begin(wanted(bench, bytes(12 * MIB)), "buffered", 99 * MIB)
                await other.receive(body(bytes(12 * MIB)))
                for mode, known in (("buffered", True), ("streamed", False)):
                    assert (await fault(send(bench, bytes(5 * MIB), mode, known=known))).code == "overloaded"
                await send(bench, bytes(5 * MIB), "streamed")  # holds nothing
                await other.finish()
                await send(bench, bytes(15 * MIB), "buffered")

    async def test_where_memory_is_short_parts_are_smaller_and_wait(self, settings: Settings) -> None:
        """Room for one part of the smallest size, while others hold the rest."""
        async with bench_of(settings.model_copy(update={"body_memory_bytes": 16 * MIB})) as bench:
            other = await bench.services.whole.begin(wanted(bench, bytes(10 * MIB)), "buffered", 99 * MIB)
            await other.receive(body(bytes(10 * MIB)))
            data = incompressible(21 * MIB)
            upload = await send(bench, data, known=False)
            assert await bench.content(upload) == data
            await other.finish()
