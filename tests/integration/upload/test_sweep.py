"""What the upload service sweeps: each thing that may stay behind, planted and gone after one sweep."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import aiohttp
import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.kit.lock import AdvisoryLock
from services.kit.s3 import OpenUpload, S3Client
from services.kit.sweeping import LOCKS, TURN, UNKNOWN_S, Scope, Turn
from services.upload.model import Made
from services.upload.service.opening import Wanted
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of, incompressible
from tests.integration.upload.ends import change, expire, sweeper_of, swept, there

pytestmark = pytest.mark.integration

END_SWEEPS = Statement(
    "test",
    """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'upload-sweep' AND datname = current_database()""",
)


@pytest.fixture
async def bench(own_settings: Settings) -> AsyncIterator[Bench]:
    """A database of the test's own: a sweep of everybody must not meet other tests' uploads."""
    async with bench_of(own_settings) as one:
        yield one


async def put_temporary(store: S3Client, upload: UUID) -> str:
    key = f"chunks/{upload}/0-{uuid4().hex}"
    await store.put_bytes(key, b"chunk")
    return key


async def test_an_abandoned_upload(bench: Bench) -> None:
    """A temporary object, a part, a second store upload of which nobody knows: all go in one sweep."""
    upload = await bench.open(12 * MIB)
    key = f"users/{bench.user_id}/{upload}"
    await bench.send(upload, 1, incompressible(MIB))
    await bench.send(upload, 0, incompressible(5 * MIB))
    await bench.store.create_multipart(key)
    assert await swept(bench) == {}
    await expire(bench, upload)
    assert await swept(bench, dry_run=True) == {"session": 1}
    assert await swept(bench) == {"session": 1, "multipart": 2, "object": 1}
    assert (await bench.store.list_uploads(key), await bench.leftovers(upload)) == ([], [])
    assert (await bench.services.management.status(upload, bench.user_id)).stored == ()
    assert bench.base.metrics.sessions("proxy", "expired")._value.get() == 1
    assert upload in bench.registry.voided
    assert await swept(bench) == {}


async def test_spooled_chunks(own_settings: Settings) -> None:
    on_disk = own_settings.model_copy(update={"chunk_store": "disk"})
    async with bench_of(on_disk) as bench:
        upload = await bench.open(2 * MIB)
        await bench.send(upload, 0, incompressible(MIB))
        stray = Path(on_disk.spool_dir) / str(uuid4()) / "0-a"
        stray.parent.mkdir()
        stray.write_bytes(b"of no upload")
        await expire(bench, upload)
        assert await swept(bench) == {"session": 1, "spool": 1}
        turn = await sweeper_of(bench).run(Scope(older_than_s=0))
        assert (turn.counts["spool"], turn.size_bytes["spool"]) == (1, 12)
        assert await bench.base.spool.files() == []


async def test_an_operator_ends_what_is_idle(bench: Bench) -> None:
    upload = await bench.open(2 * MIB)
    await bench.send(upload, 0, incompressible(MIB))
    assert await swept(bench, older_than_s=3600) == {}
    others = Scope(older_than_s=0, users=frozenset({uuid4()}))
    assert (await sweeper_of(bench).run(others)).counts == {}
    assert await swept(bench, older_than_s=0) == {"session": 1, "object": 1}


async def test_a_detached_finalisation_that_died(bench: Bench) -> None:
    upload = await bench.open(2 * MIB, mode="detached")
    await bench.send(upload, 0, incompressible(MIB))
    await change(bench, upload, "status = 'assembling'")
    assert await swept(bench) == {}
    await expire(bench, upload)
    assert await swept(bench) == {"session": 1, "object": 1}


async def test_what_is_being_finished_is_left_alone(bench: Bench) -> None:
    bench.registry.gate = asyncio.Event()
    upload, data = await bench.open(MIB), incompressible(MIB)
    sending = asyncio.create_task(bench.send(upload, 0, data))
    async with asyncio.timeout(30):
        while not bench.registry.calls:
            await asyncio.sleep(0.01)
    await expire(bench, upload)
    assert await swept(bench, older_than_s=0) == {}
    bench.registry.gate.set()
    await sending
    assert await bench.content(upload) == data


async def test_late_bytes_of_an_aborted_single_upload(bench: Bench) -> None:
    """The URL outlives the upload: its PUT comes after the first cleaning, and goes in the second."""
    async with aiohttp.ClientSession() as http:
        opened = await bench.services.single.open(Wanted(bench.user_id, "file.bin", 5, None))
        upload = opened.session.upload_uuid
        await bench.services.management.abort(upload, bench.user_id)
        await bench.cleaner.drain(5)
        async with http.put(opened.url or "", data=b"late!") as answer:
            assert answer.status == 200
    assert await swept(bench) == {}
    await change(bench, upload, "clean_after = now()")
    assert await swept(bench, dry_run=True) == {"object": 1}
    assert await swept(bench) == {"object": 1}
    assert not await there(bench, upload)
    assert await swept(bench, older_than_s=0) == {}


async def test_an_early_second_cleaning_is_not_the_last(bench: Bench) -> None:
    opened = await bench.services.single.open(Wanted(bench.user_id, "file.bin", 5, None))
    upload = opened.session.upload_uuid
    await bench.services.management.abort(upload, bench.user_id)
    await bench.cleaner.drain(5)
    for _ in range(2):
        await bench.store.put_bytes(f"users/{bench.user_id}/{upload}", b"late!")
        assert await swept(bench, older_than_s=0) == {"object": 1}


async def test_leftovers_of_a_completed_upload_but_never_its_object(bench: Bench) -> None:
    upload, data = await bench.open(MIB), incompressible(MIB)
    await bench.send(upload, 0, data)
    await put_temporary(bench.store, upload)
    await bench.store.create_multipart(f"users/{bench.user_id}/{upload}")
    await change(bench, upload, "clean_after = now()")
    assert await swept(bench) == {"object": 1, "multipart": 1}
    assert await bench.content(upload) == data


async def test_an_expired_upload_that_is_a_file(bench: Bench) -> None:
    """Registered by an attempt whose answer was lost; then every other attempt failed."""
    upload, data = await bench.open(MIB), incompressible(MIB)
    await bench.send(upload, 0, data)
    session = (await bench.services.management.status(upload, bench.user_id)).session
    assert bench.registry.rows[upload][1] == Made(session.etag or "", bench.registry.rows[upload][1].checksum)
    await change(bench, upload, "status = 'failed', ended_at = NULL")
    await expire(bench, upload)
    assert await swept(bench) == {"session": 1}
    assert await bench.status(upload) == "completed"
    assert await bench.content(upload) == data


async def test_files_is_away_and_the_next_sweep_goes_on(bench: Bench) -> None:
    upload = await bench.open(2 * MIB)
    await bench.send(upload, 0, incompressible(MIB))
    await expire(bench, upload)
    bench.registry.away = True
    with pytest.raises(Fault):
        await swept(bench)
    assert len(await bench.leftovers(upload)) == 1
    bench.registry.away = False
    await change(bench, upload, "clean_after = now()")
    assert await swept(bench) == {"object": 1}
    assert await bench.leftovers(upload) == []


async def test_a_store_upload_whose_row_was_never_written(bench: Bench) -> None:
    """The process died, or the database refused, between opening it and recording it."""
    upload = uuid4()
    key = f"users/{bench.user_id}/{upload}"
    await bench.store.create_multipart(key)
    assert await swept(bench) == {}
    assert await swept(bench, older_than_s=0) == {}  # its row may be on the way
    assert await swept(bench, unknown_older_than_s=0) == {}  # it is no older than the settings say
    assert await swept(bench, older_than_s=0, unknown_older_than_s=0) == {"multipart": 1}
    assert await bench.store.list_uploads(key) == []
    assert upload in bench.registry.voided


async def test_how_young_a_store_upload_is_the_store_says(bench: Bench) -> None:
    """Whatever the clocks of this process and of the database show."""
    key = f"users/{bench.user_id}/{uuid4()}"
    await bench.store.create_multipart(key)
    (opened,) = [one for one in await bench.store.list_uploads() if one.key == key]
    assert timedelta(0) <= await bench.store.now() - opened.initiated < timedelta(seconds=20)
    ages = [UNKNOWN_S - 1, UNKNOWN_S]
    for age_s, counts in zip(ages, ({}, {"multipart": 1}), strict=True):

        async def now(age_s: float = age_s) -> datetime:
            return opened.initiated + timedelta(seconds=age_s)

        base = replace(bench.base, store=cast(S3Client, _At(bench.store, now)))
        turn = await sweeper_of(replace(bench, base=base)).run(
            Scope(older_than_s=0, users=frozenset({bench.user_id}))
        )
        assert turn.counts == counts


async def test_an_upload_that_opens_while_everything_is_swept(bench: Bench) -> None:
    """Between the store's answer and the row nothing is taken away, whenever the sweep comes."""
    create = bench.store.create_multipart

    async def swept_meanwhile(_: S3Client, *given: Any, **named: Any) -> str:
        made = await create(*given, **named)
        assert await swept(bench, older_than_s=0) == {}
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Client, "create_multipart", swept_meanwhile)
        wanted = Wanted(bench.user_id, "file.bin", 6 * MIB, None)
        opened = await bench.services.multipart.open(wanted, 5 * MIB)
    listed = await bench.store.list_uploads(opened.session.storage_key)
    assert [one.upload_id for one in listed] == [opened.store_upload_id]


async def test_a_copy_in_parts_that_runs_is_left_alone(bench: Bench) -> None:
    """Its row is in files_db, and the files service says so."""
    copy = uuid4()
    key = f"users/{bench.user_id}/{copy}"
    await bench.store.create_multipart(key)
    bench.registry.copying.add(copy)
    assert await swept(bench, older_than_s=0, unknown_older_than_s=0) == {}
    assert len(await bench.store.list_uploads(key)) == 1
    bench.registry.copying.clear()
    assert await swept(bench, older_than_s=0, unknown_older_than_s=0) == {"multipart": 1}


async def test_nothing_unknown_goes_while_files_is_away(bench: Bench) -> None:
    key = f"users/{bench.user_id}/{uuid4()}"
    await bench.store.create_multipart(key)
    bench.registry.away = True
    with pytest.raises(Fault):
        await swept(bench, older_than_s=0, unknown_older_than_s=0)
    assert len(await bench.store.list_uploads(key)) == 1


async def test_a_store_upload_that_is_only_remembered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """MinIO goes on listing it: a sweep does not count it each time."""
    gone = OpenUpload(f"users/{bench.user_id}/{uuid4()}", "gone", datetime.now(UTC) - timedelta(days=30))
    listed = bench.store.list_uploads

    async def list_uploads(key: str = "") -> list[OpenUpload]:
        return [*await listed(key), *([] if key else [gone])]

    monkeypatch.setattr(bench.store, "list_uploads", list_uploads)
    assert await swept(bench) == {}


async def test_recorded_uploads_of_live_sessions_stay(bench: Bench) -> None:
    wanted = Wanted(bench.user_id, "file.bin", 6 * MIB, None)
    opened = await bench.services.multipart.open(wanted, 5 * MIB)
    await change(bench, opened.session.upload_uuid, "status = 'completing', updated_at = now()")
    second = await bench.store.create_multipart(opened.session.storage_key)  # its record is on the way
    assert await swept(bench, older_than_s=0) == {}
    listed = {one.upload_id for one in await bench.store.list_uploads(opened.session.storage_key)}
    assert listed == {opened.store_upload_id, second}


async def test_temporary_objects_of_no_live_upload(bench: Bench) -> None:
    live = await bench.open(2 * MIB)
    kept = await put_temporary(bench.store, live)
    await change(bench, live, "status = 'assembling'")
    strays = [await put_temporary(bench.store, uuid4()), "chunks/strange"]
    await bench.store.put_bytes(strays[1], b"of no upload")
    turn = await sweeper_of(bench).run(Scope(older_than_s=0))
    assert turn.counts["object"] >= 2  # other tests of this bucket plant theirs
    found = {entry.key for entry in await bench.store.list_objects("chunks/")}
    assert found & {kept, *strays} == {kept}


async def test_rows_of_ended_uploads(bench: Bench) -> None:
    ended, cleaned, young, live = [await bench.open(MIB) for _ in range(4)]
    old = "created_at = now() - interval '8 d', "
    await change(bench, ended, old + "status = 'completed', ended_at = now() - interval '8 d'")
    await change(
        bench, cleaned, old + "status = 'aborted', ended_at = now() - interval '8 d', clean_after = now()"
    )
    await change(bench, young, old + "status = 'completed', ended_at = now() - interval '6 d'")
    await change(bench, live, old + "updated_at = now()")
    assert await swept(bench, dry_run=True) == {"row": 1}
    assert await swept(bench) == {"row": 2}  # the one that needed cleaning was cleaned before
    for upload, there_is in ((ended, False), (cleaned, False), (young, True), (live, True)):
        if there_is:
            assert await bench.status(upload)
        else:
            with pytest.raises(Fault):
                await bench.status(upload)


async def test_one_sweep_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.sweeping.TURN_WAIT_S", 0.3)
    other = AdvisoryLock(bench.base.settings.direct_url, "test", LOCKS, TURN)
    assert await other.take()
    with pytest.raises(Fault) as busy:
        await swept(bench)
    assert busy.value.code == "overloaded"
    other.release()
    assert await swept(bench) == {}


async def test_a_lost_lock_ends_the_sweep_and_nothing_else(bench: Bench) -> None:
    sweeper = sweeper_of(bench)

    class Losing:
        async def sweep(self, turn: Turn) -> None:
            await bench.database.row(END_SWEEPS)
            async with asyncio.timeout(30):
                while True:
                    await turn.between()

    sweeper._steps = (Losing(),)
    with pytest.raises(Fault):
        await sweeper.run(Scope())
    assert await swept(bench) == {}


async def test_timed_sweeps_are_done_by_one_of_two(own_settings: Settings) -> None:
    async with bench_of(own_settings) as bench:
        upload = await bench.open(MIB)
        await expire(bench, upload)
        one, two = sweeper_of(bench), sweeper_of(bench)
        ran = list[str]()
        for name, sweeper in (("one", one), ("two", two)):
            sweeper._steps = (_Noting(ran, name),)
        async with (
            one.sweeping(0.01, Scope(), random.Random(1)),
            two.sweeping(0.01, Scope(), random.Random(2)),
        ):
            async with asyncio.timeout(30):
                while len(ran) < 5:
                    await asyncio.sleep(0.01)
        assert len(set(ran)) == 1


class _At:
    """The store at another time."""

    def __init__(self, store: S3Client, now: Callable[[], Awaitable[datetime]]) -> None:
        self._store, self.now = store, now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Noting:
    def __init__(self, ran: list[str], name: str) -> None:
        self._ran, self._name = ran, name

    async def sweep(self, turn: Turn) -> None:
        self._ran.append(self._name)
