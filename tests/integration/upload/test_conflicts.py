"""Senders that meet: at the final key, at the first part, and at an abort."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.kit.s3 import NoSuchUploadError, NotFoundError, S3Client
from services.upload.chunk_store.s3 import S3ChunkStore
from services.upload.model import Send, State
from services.upload.service.opening import Wanted
from tests.integration.upload.conftest import MIB, Bench, body, incompressible
from tests.integration.upload.interruption import When

pytestmark = pytest.mark.integration


async def code(call: Awaitable[object]) -> str:
    with pytest.raises(Fault) as caught:
        await call
    return caught.value.code


SLOT = Statement(
    "test_slot",
    """SELECT EXISTS (SELECT FROM chunk_slots c JOIN upload_sessions s ON s.id = c.session_id
      WHERE s.upload_uuid = $1 AND c.chunk_index = $2) AS claimed""",
)


async def slot_of(bench: Bench, upload: UUID, index: int) -> bool:
    """Whether a send of this chunk has looked at its upload."""
    row = await bench.database.row(SLOT, upload, index)
    return row is not None and bool(row["claimed"])


class Held:
    """A body whose last piece comes when the test says so."""

    def __init__(self, data: bytes) -> None:
        self._data, self.go, self.waiting = data, asyncio.Event(), asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._data[:-1]
        self.waiting.set()
        await self.go.wait()
        yield self._data[-1:]


class TestFinalKey:
    async def test_an_object_of_other_bytes_sends_the_resend_elsewhere(self, bench: Bench) -> None:
        data, stale = incompressible(MIB), incompressible(MIB)
        upload = await bench.open(MIB)
        key = f"users/{bench.user_id}/{upload}"
        await bench.store.put_bytes(key, stale, meta={"sha256": sha256(stale).hexdigest()})
        with pytest.raises(Fault) as caught:
            await bench.send(upload, 0, data)
        assert (caught.value.code, caught.value.headers["Retry-After"]) == ("dependency_unavailable", "1")
        assert await bench.content(upload) == stale
        assert (await bench.send(upload, 0, data)).status is State.COMPLETED
        assert await bench.content(upload) == data

    async def test_an_object_that_names_no_hash_is_not_believed(self, bench: Bench) -> None:
        data = incompressible(1000)
        upload = await bench.open(1000)
        await bench.store.put_bytes(f"users/{bench.user_id}/{upload}", data)
        assert await code(bench.send(upload, 0, data)) == "dependency_unavailable"
        assert (await bench.send(upload, 0, data)).status is State.COMPLETED

    async def test_a_promise_of_equal_bytes_is_checked(self, bench: Bench) -> None:
        """The store answers early that the key is taken; the rest of the body still counts."""
        data = incompressible(2 * MIB)
        promised = sha256(data).hexdigest()
        upload = await bench.open(len(data))
        await bench.store.put_bytes(f"users/{bench.user_id}/{upload}", data, meta={"sha256": promised})
        wrong = data[:-1] + bytes([data[-1] ^ 1])
        send = Send(upload, bench.user_id, 0, len(data), promised)
        assert await code(bench.services.chunks.receive(send, body(wrong))) == "checksum_mismatch"
        assert await bench.status(upload) == "pending"
        assert (await bench.send(upload, 0, data)).status is State.COMPLETED

    async def test_equal_sends_at_once_are_all_durable(self, bench: Bench) -> None:
        data = incompressible(MIB)
        upload = await bench.open(MIB)
        taken = await asyncio.gather(*(bench.send(upload, 0, data) for _ in range(2)))
        assert {one.status for one in taken} == {State.COMPLETED}
        assert bench.registry.calls == 1
        assert await bench.content(upload) == data

    async def test_different_sends_at_once_leave_one_of_them(self, bench: Bench) -> None:
        one, other = incompressible(MIB), incompressible(MIB)
        upload = await bench.open(MIB)
        results = await asyncio.gather(
            bench.send(upload, 0, one), bench.send(upload, 0, other), return_exceptions=True
        )
        winners = [
            data for data, result in zip((one, other), results, strict=True) if not isinstance(result, Fault)
        ]
        assert len(winners) == 1
        assert await bench.content(upload) == winners[0]
        assert bench.registry.rows[upload][1].checksum == sha256(winners[0]).hexdigest()


class TestParts:
    async def test_first_chunks_at_once_share_one_store_upload(self, bench: Bench) -> None:
        slices = [incompressible(5 * MIB) for _ in range(4)]
        upload = await bench.open(20 * MIB)
        await asyncio.gather(*(bench.send(upload, index, data) for index, data in enumerate(slices)))
        assert await bench.content(upload) == b"".join(slices)

    async def test_whoever_opens_the_store_upload_for_others_may_be_ended(self, bench: Bench) -> None:
        """A third send of its chunk ends it; a chunk beside it waits for the same store upload."""
        slices = [incompressible(5 * MIB) for _ in range(2)]
        upload = await bench.open(10 * MIB)
        bench.interruption.arm(1, When.BEFORE, bench.interruption.stands_still)
        opener = asyncio.create_task(bench.send(upload, 0, slices[0]))
        await bench.interruption.reached.wait()
        beside = asyncio.create_task(bench.send(upload, 1, slices[1]))
        async with asyncio.timeout(30):
            while not await slot_of(bench, upload, 1):
                continue
        again = [asyncio.create_task(bench.send(upload, 0, slices[0])) for _ in range(2)]
        assert await code(opener) == "request_timeout"
        bench.interruption.go_on.set()
        await beside
        told = await asyncio.gather(*again, return_exceptions=True)
        refused = [one for one in told if isinstance(one, BaseException)]
        assert len(refused) < len(told)
        # Whoever is still sending when the other has made the upload whole.
        assert all(isinstance(one, Fault) and one.code == "dependency_unavailable" for one in refused)
        assert await bench.content(upload) == b"".join(slices)

    async def test_a_store_upload_that_cannot_be_opened_when_its_sender_has_left_says_nothing(
        self, bench: Bench
    ) -> None:
        async def fails(error: Exception) -> None:
            await bench.interruption.go_on.wait()
            raise error

        said, chunks = list[dict[str, Any]](), bench.services.chunks._store
        assert isinstance(chunks, S3ChunkStore)
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        upload = await bench.open(10 * MIB)
        bench.interruption.arm(1, When.BEFORE, fails)
        sender = asyncio.create_task(bench.send(upload, 0, incompressible(5 * MIB)))
        await bench.interruption.reached.wait()
        (opening,) = chunks._opening.values()
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        bench.interruption.go_on.set()
        await asyncio.wait([opening])
        await asyncio.sleep(0)
        assert chunks._opening == {}
        del opening
        gc.collect()
        assert said == []

    async def test_a_tail_whose_neighbour_shrank_is_sent_again(self, bench: Bench) -> None:
        first, shorter, tail = incompressible(10 * MIB), incompressible(9 * MIB), incompressible(MIB)
        upload = await bench.open(11 * MIB)
        await bench.send(upload, 0, first)
        held = Held(tail)
        send = Send(upload, bench.user_id, 1, MIB, None)
        late = asyncio.create_task(bench.services.chunks.receive(send, held.pieces()))
        await held.waiting.wait()
        await bench.send(upload, 0, shorter)
        held.go.set()
        assert await code(late) == "dependency_unavailable"
        await bench.send(upload, 1, tail)
        rest = incompressible(MIB)
        assert (await bench.send(upload, 2, rest)).status is State.COMPLETED
        assert await bench.content(upload) == shorter + tail + rest


class TestBrokenSends:
    async def test_a_broken_send_changes_nothing(self, bench: Bench) -> None:
        first, tail = incompressible(5 * MIB), incompressible(MIB)
        upload = await bench.open(6 * MIB)
        await bench.send(upload, 0, first)

        async def broken() -> AsyncIterator[bytes]:
            yield incompressible(1000)
            raise ConnectionResetError

        for index, size in ((0, 5 * MIB), (1, MIB)):
            with pytest.raises(ConnectionResetError):
                await bench.services.chunks.receive(Send(upload, bench.user_id, index, size, None), broken())
        await bench.send(upload, 1, tail)
        assert await bench.content(upload) == first + tail

    @pytest.mark.parametrize("size", [MIB, 6 * MIB])
    async def test_a_wrong_checksum_stores_nothing(self, bench: Bench, size: int) -> None:
        upload, data = await bench.open(size + 5), incompressible(size)
        send = Send(upload, bench.user_id, 0, size, "0" * 64)
        assert await code(bench.services.chunks.receive(send, body(data))) == "checksum_mismatch"
        progress = await bench.services.management.status(upload, bench.user_id)
        assert (progress.received_bytes, progress.stored) == (0, ())
        assert await bench.leftovers(upload) == []


class TestAborts:
    async def test_everything_of_an_aborted_upload_is_removed(self, bench: Bench) -> None:
        upload = await bench.open(12 * MIB)
        await bench.send(upload, 0, incompressible(5 * MIB))
        await bench.send(upload, 2, incompressible(1000))
        session = (await bench.services.management.status(upload, bench.user_id)).session
        assert await bench.leftovers(upload) != []
        await bench.services.management.abort(upload, bench.user_id)
        await bench.cleaner.drain(10)
        assert await bench.leftovers(upload) == []
        with pytest.raises(NoSuchUploadError):
            await bench.store.list_parts(session.storage_key, session.storage_upload_id or "")
        row = await bench.database.row(
            Statement("test", "SELECT clean_after > now() AS later FROM upload_sessions WHERE id = $1"),
            session.id,
        )
        assert row is not None
        assert row["later"]

    @pytest.mark.parametrize(("size", "length"), [(MIB, MIB), (MIB, MIB - 1), (12 * MIB, 5 * MIB)])
    @pytest.mark.parametrize("checksum", [True, False])
    async def test_a_sender_that_comes_too_late_removes_what_it_wrote(
        self, bench: Bench, size: int, length: int, checksum: bool
    ) -> None:
        upload, data = await bench.open(size), incompressible(length)
        held = Held(data)
        promised = sha256(data).hexdigest() if checksum else None
        send = Send(upload, bench.user_id, 0, length, promised)
        late = asyncio.create_task(bench.services.chunks.receive(send, held.pieces()))
        await held.waiting.wait()
        await bench.services.management.abort(upload, bench.user_id)
        await bench.cleaner.drain(10)
        held.go.set()
        assert await code(late) in {"upload_aborted", "dependency_unavailable"}
        await bench.cleaner.drain(10)
        assert await bench.leftovers(upload) == []
        with pytest.raises(NotFoundError):
            await bench.store.head(f"users/{bench.user_id}/{upload}")


async def test_a_late_store_upload_of_an_aborted_session_is_given_up(bench: Bench) -> None:
    upload = await bench.open(12 * MIB)
    session = (await bench.services.management.status(upload, bench.user_id)).session
    await bench.services.management.abort(upload, bench.user_id)
    assert await bench.tables.sessions.save_store_upload(session.id, "late") is None


async def test_keys_at_once_open_one_upload(bench: Bench) -> None:
    wanted = Wanted(bench.user_id, "a.bin", 100, "key")
    opened = await asyncio.gather(*(bench.services.proxied.open(wanted, None) for _ in range(10)))
    assert len({session.upload_uuid for session in opened}) == 1
    with pytest.raises(Fault) as caught:
        await bench.services.single.open(wanted)
    assert caught.value.code == "idempotency_conflict"


class Opened:
    """A store that remembers which multipart uploads were opened and given up."""

    def __init__(self, store: S3Client) -> None:
        self._store = store
        self.left: set[tuple[str, str]] = set()

    async def create_multipart(self, key: str, **options: Any) -> str:
        upload_id = await self._store.create_multipart(key, **options)
        self.left.add((key, upload_id))
        return upload_id

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        await self._store.abort_multipart(key, upload_id)
        self.left.discard((key, upload_id))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class TestStoreUploads:
    """A direct session opens the store's upload before its row: none stays that no row names."""

    @pytest.fixture
    async def opened(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Opened:
        opened = Opened(bench.store)
        for part in (bench.services.multipart, bench.cleaner):
            monkeypatch.setattr(part, "_store", opened)
        return opened

    async def test_a_repeated_key_leaves_one(self, bench: Bench, opened: Opened) -> None:
        wanted = Wanted(bench.user_id, "a.bin", 100, "direct")
        answers = await asyncio.gather(*(bench.services.multipart.open(wanted, 100) for _ in range(5)))
        first = answers[0].session
        assert {answer.session.upload_uuid for answer in answers} == {first.upload_uuid}
        assert opened.left == {(first.storage_key, answers[0].store_upload_id)}
        assert all(answer.store_upload_id == answers[0].store_upload_id for answer in answers)
        assert all(answer.urls_expire_at >= first.created_at and answer.parts for answer in answers)

    @pytest.mark.parametrize("why", ["too_many_open_uploads", "idempotency_conflict", "upload_aborted"])
    async def test_a_refusal_leaves_none(self, bench: Bench, opened: Opened, why: str) -> None:
        wanted = Wanted(bench.user_id, "a.bin", 100, "refused")
        if why == "too_many_open_uploads":
            bench.services.multipart._opening._limit = 0
        else:
            session = (await bench.services.multipart.open(wanted, 200)).session
            if why == "upload_aborted":
                await bench.services.management.abort(session.upload_uuid, bench.user_id)
                await bench.cleaner.drain(10)
        before = set(opened.left)
        size_bytes = 101 if why == "idempotency_conflict" else 100
        again = replace(wanted, file_size_bytes=size_bytes)
        assert await code(bench.services.multipart.open(again, 200)) == why
        assert opened.left == before

    async def test_a_name_that_is_refused_opens_none(self, bench: Bench, opened: Opened) -> None:
        wanted = Wanted(bench.user_id, "a/../b", 100, None)
        assert await code(bench.services.multipart.open(wanted, 100)) == "invalid_file_name"
        assert opened.left == set()


async def test_the_limit_of_open_uploads_counts_open_ones(bench: Bench) -> None:
    opening = bench.services.proxied._opening
    opening._limit = 3
    first = await bench.open(1)
    for _ in range(2):
        await bench.open(1)
    assert await code(bench.open(1)) == "too_many_open_uploads"
    await bench.send(first, 0, b"x")
    await bench.open(1)


async def test_no_statement_leaves_anything_on_a_connection(bench: Bench) -> None:
    data = incompressible(6 * MIB)
    upload = await bench.open(len(data))
    await bench.send(upload, 0, data[: 5 * MIB])
    await bench.send(upload, 1, data[5 * MIB :])
    # asyncpg itself sets jit back after it has looked up types.
    row = await bench.database.row(
        Statement(
            "test",
            "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())) AS locks, "
            "ARRAY(SELECT name FROM pg_settings WHERE source = 'session' AND name <> 'jit') AS changed, "
            "current_setting('statement_timeout') AS statement_timeout",
        )
    )
    assert row is not None
    assert (row["locks"], row["changed"], row["statement_timeout"]) == (0, [], "10s")
