"""Giving an upload up: nothing is removed before a registration can be refused, and a file stays a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from unittest.mock import patch
from uuid import UUID

import pytest

from services.kit.cache import MemoryCache
from services.kit.db import Statement
from services.kit.errors import Fault
from services.kit.sweeping import Turn
from services.upload.leftovers import Leftovers
from services.upload.model import Made, Send, Session
from services.upload.repository.sessions import Progress
from services.upload.service.management import ManagementService
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of, incompressible
from tests.integration.upload.ends import change, there

pytestmark = pytest.mark.integration

ROW = Statement("test", "SELECT etag, checksum, error_code FROM upload_sessions WHERE upload_uuid = $1")


async def failed(bench: Bench, data: bytes) -> UUID:
    """An upload whose bytes are all there and that could not be registered."""
    upload = await bench.open(len(data))
    bench.registry.refusals = 10**6
    with pytest.raises(Fault):
        await bench.send(upload, 0, data)
    await change(bench, upload, "status = 'failed', job_due_at = NULL, lease_owner = NULL")
    return upload


async def test_who_gives_up_again_and_again_makes_one_removal_at_a_time(bench: Bench) -> None:
    """What comes while one runs makes one more, however often it is asked for: late bytes may be among it."""
    upload, running, most, begun = await bench.open(MIB), 0, 0, 0
    leftovers = bench.cleaner._leftovers
    clean = leftovers.clean

    async def watched(session: Session, turn: Turn) -> None:
        nonlocal running, most, begun
        running, begun = running + 1, begun + 1
        most = max(most, running)
        await clean(session, turn)
        running -= 1

    with patch.object(Leftovers, "clean", side_effect=watched):
        for _ in range(20):
            await bench.services.management.abort(upload, bench.user_id)
        session = (await bench.services.management.status(upload, bench.user_id)).session
        for _ in range(20):
            bench.cleaner.aborted(session)
        await bench.cleaner.drain(10)
    assert most == 1
    assert begun < 30
    assert await bench.status(upload) == "aborted"


async def test_a_file_that_lives_is_completed_and_stays(settings: Settings) -> None:
    """The registration came through although its answer was lost; then the client gives up."""
    async with bench_of(settings) as bench:
        data = incompressible(MIB)
        upload = await failed(bench, data)
        session = (await bench.services.management.status(upload, bench.user_id)).session
        bench.registry.rows[upload] = (session, Made('"etag"', "c" * 64))
        for _ in range(2):
            with pytest.raises(Fault) as refused:
                await bench.services.management.abort(upload, bench.user_id)
            assert refused.value.code == "upload_not_open"
            await bench.cleaner.drain(5)
        assert await bench.status(upload) == "completed"
        row = await bench.database.row(ROW, upload)
        assert row is not None
        assert (row["etag"], row["checksum"], row["error_code"]) == ('"etag"', "c" * 64, None)
        assert await bench.content(upload) == data


async def test_an_aborted_upload_is_read_again_each_time(settings: Settings) -> None:
    """Whoever looked while it was given up must not go on hearing that it was aborted: it may be a file."""
    async with bench_of(settings) as bench:
        cache: MemoryCache[Progress] = MemoryCache(60, bench.base.world.monotonic, bench.base.metrics.cache)
        kept = ManagementService(bench.tables.sessions, bench.cleaner, bench.base.metrics, cache)
        upload = await failed(bench, incompressible(MIB))
        session = (await kept.status(upload, bench.user_id)).session
        bench.registry.away = True
        await kept.abort(upload, bench.user_id)
        assert (await kept.status(upload, bench.user_id)).session.status == "aborted"
        bench.registry.away = False
        bench.registry.rows[upload] = (session, Made('"etag"', "c" * 64))
        assert not await bench.cleaner.give_up(session)
        assert (await kept.status(upload, bench.user_id)).session.status == "completed"


async def test_nothing_is_removed_while_files_is_away(settings: Settings) -> None:
    async with bench_of(settings) as bench:
        upload = await bench.open(2 * MIB)
        await bench.send(upload, 0, incompressible(MIB))
        bench.registry.away = True
        await bench.services.management.abort(upload, bench.user_id)
        await bench.cleaner.drain(5)
        assert await bench.status(upload) == "aborted"
        assert len(await bench.leftovers(upload)) == 1
        bench.registry.away = False
        await bench.services.management.abort(upload, bench.user_id)
        await bench.cleaner.drain(5)
        assert await bench.leftovers(upload) == []


async def test_a_late_registration_is_refused_and_its_object_gone(settings: Settings) -> None:
    """A finaliser that slept through its lease wakes up after the upload was given up."""
    async with bench_of(settings) as bench:
        upload = await failed(bench, incompressible(MIB))
        await bench.services.management.abort(upload, bench.user_id)
        await bench.cleaner.drain(5)
        assert upload in bench.registry.voided
        assert not await there(bench, upload)


async def test_a_sender_that_finds_its_upload_aborted_leaves_nothing(settings: Settings) -> None:
    async with bench_of(settings) as bench:
        data = incompressible(MIB)
        upload = await bench.open(MIB)

        async def body() -> AsyncIterator[bytes]:
            yield data[: MIB // 2]
            await bench.services.management.abort(upload, bench.user_id)
            await bench.cleaner.drain(5)
            yield data[MIB // 2 :]

        send = Send(upload, bench.user_id, 0, MIB, sha256(data).hexdigest())
        with pytest.raises(Fault) as refused:
            await bench.services.chunks.receive(send, body())
        assert refused.value.code == "upload_aborted"
        await bench.cleaner.drain(5)
        assert not await there(bench, upload)
