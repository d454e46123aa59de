"""An upload is over from the moment it expires, whether or not a sweep has come by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from hashlib import sha256
from uuid import UUID

import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.upload.model import RegisteredPart, Send
from services.upload.service.opening import Wanted
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of, incompressible
from tests.integration.upload.ends import change, expire, there

pytestmark = pytest.mark.integration


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(Fault) as caught:
        await call
    return caught.value.code


async def test_no_chunk_is_taken_any_more(bench: Bench) -> None:
    upload = await bench.open(2 * MIB)
    data = incompressible(MIB)
    await bench.send(upload, 0, data)
    await expire(bench, upload)
    assert await bench.status(upload) == "aborted"
    assert await refused(bench.send(upload, 1, data)) == "upload_aborted"
    assert await refused(bench.send(upload, 0, data)) == "upload_aborted"


async def test_a_failed_upload_cannot_be_taken_up_again(bench: Bench) -> None:
    upload = await bench.open(2 * MIB)
    data = incompressible(MIB)
    await bench.send(upload, 0, data)
    await change(bench, upload, "status = 'failed', received_bytes = file_size_bytes")
    await expire(bench, upload)
    assert await refused(bench.send(upload, 0, data)) == "upload_aborted"


LEFT = Statement(
    "test",
    "SELECT extract(epoch FROM expires_at - now())::float8 AS left_s FROM upload_sessions"
    " WHERE upload_uuid = $1",
)


async def left_s(bench: Bench, upload: UUID) -> float:
    row = await bench.database.row(LEFT, upload)
    assert row is not None
    return float(row["left_s"])


async def test_the_last_byte_and_completing_prolong_an_upload_that_may_still_fail(bench: Bench) -> None:
    bench.registry.refusals = 10**6
    data = incompressible(MIB)
    upload = await bench.open(len(data))
    await change(bench, upload, "expires_at = now() + interval '60 s'")
    assert await refused(bench.send(upload, 0, data)) == "dependency_unavailable"
    assert await left_s(bench, upload) > 3_600
    single = bench.services.single
    direct = (await single.open(Wanted(bench.user_id, "file.bin", 5, None))).session
    await bench.store.put_bytes(direct.storage_key, b"abcde")
    await change(bench, direct.upload_uuid, "expires_at = now() + interval '60 s'")
    assert await refused(single.complete(direct.upload_uuid, bench.user_id, None)) == "dependency_unavailable"
    assert await left_s(bench, direct.upload_uuid) > 3_600


async def test_direct_uploads_get_no_urls_parts_or_completion(bench: Bench) -> None:
    wanted, mine = Wanted(bench.user_id, "file.bin", 6 * MIB, "again"), bench.user_id
    multipart, single = bench.services.multipart, bench.services.single
    upload = (await multipart.open(wanted, 5 * MIB)).session.upload_uuid
    part = RegisteredPart(1, 5 * MIB, '"e"')
    await multipart.register(upload, mine, part)
    await expire(bench, upload)
    assert await refused(multipart.presign(upload, mine, [1])) == "upload_aborted"
    assert await refused(multipart.register(upload, mine, part)) == "upload_aborted"
    assert await refused(multipart.complete(upload, mine)) == "upload_aborted"
    assert await refused(multipart.open(wanted, 5 * MIB)) == "upload_aborted"
    other = (await single.open(Wanted(mine, "file.bin", 5, None))).session.upload_uuid
    await expire(bench, other)
    assert await refused(single.complete(other, mine, None)) == "upload_aborted"


async def test_an_upload_that_is_being_finished_does_not_expire(bench: Bench) -> None:
    upload = await bench.open(2 * MIB)
    data = incompressible(MIB)
    await bench.send(upload, 0, data)
    for state in ("assembling", "uploading", "completed"):
        await change(bench, upload, f"status = '{state}', expires_at = now() - interval '1 s'")
        assert await bench.status(upload) == state
    await change(bench, upload, "ended_at = now()")


async def test_the_limit_counts_what_has_not_expired(settings: Settings) -> None:
    few = settings.model_copy(update={"max_open_uploads": 2})
    async with bench_of(few) as bench:
        uploads = [await bench.open(MIB) for _ in range(2)]
        assert await refused(bench.open(MIB)) == "too_many_open_uploads"
        await expire(bench, uploads[0])
        await bench.open(MIB)
        assert await refused(bench.open(MIB)) == "too_many_open_uploads"
        shown, total = await bench.services.management.own(bench.user_id, ended_too=False, page=1, size=9)
        assert total == len(shown) == 2


@pytest.mark.parametrize("whole", [True, False])
async def test_a_body_on_its_way_is_refused_at_its_end_and_removed(bench: Bench, whole: bool) -> None:
    data = incompressible(MIB)
    upload = await bench.open(MIB if whole else 2 * MIB)

    async def body() -> AsyncIterator[bytes]:
        yield data[: MIB // 2]
        await expire(bench, upload)
        yield data[MIB // 2 :]

    send = Send(upload, bench.user_id, 0, MIB, sha256(data).hexdigest())
    assert await refused(bench.services.chunks.receive(send, body())) == "upload_aborted"
    await bench.cleaner.drain(5)
    assert not await there(bench, upload)
    assert await bench.leftovers(upload) == []
    assert upload in bench.registry.voided
