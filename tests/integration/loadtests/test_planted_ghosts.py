"""Every class of the ledger, planted once in real databases and a real store, and counted right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import pytest

from loadtests.harness.ledger.audit import Audit, Auditor, Piece
from loadtests.harness.ledger.evidence import Baseline
from loadtests.harness.records.vocabulary import LedgerClass
from tests.integration.loadtests.planted import ARM, SIZE, STRETCH, Planter

pytestmark = pytest.mark.integration

C = LedgerClass
GOOD = 3  # verified uploads beside each planted one


PIECE = Piece(audit=0, stack="", stretches=(STRETCH,), seed=1, clients_came_back=False)


async def audit(planter: Planter, *, settle_limit_s: float = 30.0, clients_came_back: bool = False) -> Audit:
    auditor = Auditor(planter.rig.databases, planter.rig.store, settle_limit_s=settle_limit_s)
    piece = replace(PIECE, clients_came_back=clients_came_back)
    return await auditor.audit(piece, planter.lines(), baseline=Baseline(), rows=planter.rows)


async def clean_failure(planter: Planter) -> None:
    upload = planter.upload()
    planter.intent(upload)
    await planter.session(upload, "failed")
    planter.outcome(upload, acked=False)


async def no_trace(planter: Planter) -> None:
    upload = planter.upload()
    planter.intent(upload)
    planter.outcome(upload, acked=False)


async def cut_off(planter: Planter) -> None:
    planter.intent(planter.upload())


async def lost(planter: Planter) -> None:
    upload = planter.upload()
    planter.intent(upload)
    await planter.session(upload, "failed")
    planter.outcome(upload, acked=True)


async def lost_file_row(planter: Planter) -> None:
    upload = await planter.whole(planter.upload())
    await planter.rig.databases.files.execute("DELETE FROM files WHERE file_uuid = $1", upload.upload_uuid)


async def corrupt(planter: Planter) -> None:
    """Same size, other bytes, and nothing but the bytes says so: only reading back can tell."""
    upload = planter.upload()
    planter.intent(upload)
    etag = planter.put(upload, body=bytes(SIZE))
    await planter.session(upload, etag=etag)
    await planter.file(upload, etag=etag)
    planter.outcome(upload, acked=True)


async def short(planter: Planter) -> None:
    upload = await planter.whole(planter.upload())
    planter.put(upload, body=bytes(SIZE - 1))


async def orphan_row(planter: Planter) -> None:
    upload = await planter.whole(planter.upload())
    await planter.rig.store.remove([planter.key(upload)])


async def stuck(planter: Planter) -> None:
    upload = planter.upload()
    planter.intent(upload)
    await planter.session(upload, "pending")
    planter.outcome(upload, acked=False)


async def second_row(planter: Planter) -> None:
    upload = await planter.whole(planter.upload())
    await planter.file(upload, file_uuid=uuid4(), upload_uuid=None, storage_key=f"users/x/{uuid4()}")


async def second_object(planter: Planter) -> None:
    upload = await planter.whole(planter.upload())
    planter.put(upload, key=f"users/{planter.rig.user}/{uuid4()}")


async def late_success(planter: Planter) -> None:
    await planter.whole(planter.upload(), told=False)


async def late_success_unheard(planter: Planter) -> None:
    await planter.whole(planter.upload(), told=None)


# name -> how to plant it, its class, flags beside it, whether the audit fails
CLASSES: dict[str, tuple[Callable[[Planter], Awaitable[None]], LedgerClass, dict[str, int], bool]] = {
    "G-00 clean failure": (clean_failure, C.CLEAN_FAILURE, {"G-12": 1}, False),
    "G-01 no trace": (no_trace, C.NO_TRACE, {"G-12": 1}, False),
    "G-01 cut off": (cut_off, C.NO_TRACE, {}, False),
    "G-02 lost": (lost, C.LOST, {"G-10": 1, "G-12": 1}, True),
    "G-02 file row lost": (lost_file_row, C.LOST, {"G-04": 1, "G-10": 1, "G-12": 1}, True),
    "G-03 other bytes": (corrupt, C.CORRUPT, {"G-12": 1}, True),
    "G-03 short": (short, C.CORRUPT, {"G-12": 1}, True),
    "G-05 orphan row": (orphan_row, C.ORPHAN_ROW, {"G-10": 1, "G-12": 1}, True),
    "G-06 stuck": (stuck, C.STUCK, {"G-12": 1}, False),
    "G-07 two rows": (second_row, C.DUPLICATE, {"G-12": 1}, True),
    "G-07 two objects": (second_object, C.DUPLICATE, {"G-04": 1, "G-12": 1}, True),
    "G-08 late success": (late_success, C.LATE_SUCCESS, {"G-12": 1}, False),
    "G-08 late success, unheard": (late_success_unheard, C.LATE_SUCCESS, {}, False),
}


@pytest.mark.parametrize("name", CLASSES)
async def test_class(planter: Planter, name: str) -> None:
    plant, kind, flags, fails = CLASSES[name]
    await planter.verified(GOOD)
    await plant(planter)
    result = await audit(planter)
    found = {key: count for key, count in result.table.classes.items() if count}
    assert found == {C.VERIFIED.value: GOOD, kind.value: 1}, result.table.offending
    assert {flag: count for flag, count in result.table.flags.items() if count} == flags
    assert result.table.failed == fails
    assert result.table.verified_bytes == result.table.stored_bytes == GOOD * SIZE
    assert ("ledger-mismatch" in {warning.code for warning in result.warnings}) == fails
    assert len(result.samples) == GOOD + 1


async def test_nothing_wrong(planter: Planter) -> None:
    await planter.verified(GOOD)
    result = await audit(planter, clients_came_back=True)
    assert result.table.classes[C.VERIFIED.value] == result.table.hashed == GOOD
    assert not any(result.table.flags.values())
    assert result.warnings == ()
    assert (result.table.audit, result.table.stretches) == (0, (STRETCH,))
    assert result.table.by_arm == {ARM: {"verified": GOOD}}
    counts = {"intents": GOOD, "acks": GOOD, "verified": GOOD, "files": GOOD}
    assert result.table.by_user == {str(planter.rig.user): counts}
    assert set(result.clock_offset_s) == {"auth_db", "upload_db", "files_db"}
    for sample in result.samples:
        assert sample.durable_at is not None and sample.visible_at is not None and sample.acked_at is not None
        assert sample.durable_at <= sample.visible_at
        # Databases and test share one clock: a correction by more than the audit's time is wrong.
        assert abs(sample.acked_at - sample.durable_at) < 60.0


async def test_g04_orphan_object(planter: Planter) -> None:
    await planter.verified(GOOD)
    upload = planter.upload()
    planter.intent(upload)
    await planter.session(upload, "aborted")
    planter.put(upload)
    planter.outcome(upload, acked=False)
    result = await audit(planter)
    assert result.table.classes[C.CLEAN_FAILURE.value] == result.table.flags["G-04"] == 1
    assert not result.table.failed


async def test_g09_leftovers(planter: Planter) -> None:
    await planter.verified(GOOD)
    upload = planter.upload()
    planter.intent(upload)
    upload_id = planter.multipart(upload)
    await planter.session(upload, "failed", storage_upload_id=upload_id)
    planter.put(upload, key=f"chunks/{upload.upload_uuid}/0-abc", body=b"12345")
    planter.outcome(upload, acked=False)
    result = await audit(planter)
    left = [row for row in result.table.offending if row["class"] == "G-09"]
    assert result.table.flags["G-09"] == 2
    assert sum(row["size_bytes"] for row in left) == 105
    assert {row["upload_ref"] for row in left} == {upload.row.ref}


async def test_g10_early_ack(planter: Planter) -> None:
    (upload,) = await planter.verified(1)
    early = planter.upload()
    planter.intent(early)
    planter.outcome(early, acked=True, at_ms=1000)
    etag = planter.put(early)
    await planter.session(early, etag=etag)
    await planter.file(early, etag=etag)
    result = await audit(planter)
    assert (result.table.classes[C.VERIFIED.value], result.table.flags["G-10"]) == (2, 1)
    flagged = {sample.upload_ref: "G-10" in sample.flags for sample in result.samples}
    assert flagged == {upload.row.ref: False, early.row.ref: True}


async def test_g11_foreign(planter: Planter) -> None:
    await planter.verified(GOOD)
    unknown = planter.upload()  # no intent: nobody meant it
    etag = planter.put(unknown)
    await planter.session(unknown, etag=etag)
    await planter.file(unknown, etag=etag)
    guest = planter.upload()
    await planter.file(guest, user_id=planter.rig.stranger)
    planter.put(guest, key="users/unknown/object")
    planter.put(guest, key=f"chunks/{uuid4()}/0-abc")
    result = await audit(planter)
    # Of ours: session, row, object. Of the stranger: row and object. And a piece of nobody's.
    assert result.table.flags["G-11"] == 6
    assert result.table.classes[C.VERIFIED.value] == GOOD
    assert result.table.failed


async def test_g12_hollow_iterations(planter: Planter) -> None:
    await planter.verified(GOOD)
    await clean_failure(planter)
    await cut_off(planter)
    result = await audit(planter, clients_came_back=True)
    # One that told of its failure, and one whose client went on without a word.
    assert result.table.flags["G-12"] == 2


async def test_a_user_without_an_acknowledged_file_is_named(planter: Planter) -> None:
    await planter.verified(GOOD)
    await lost(planter)
    result = await audit(planter)
    named = [row for row in result.table.offending if row["class"] == "user"]
    assert [row["user_id"] for row in named] == [str(planter.rig.user)]
    assert "users-without-their-files" in {warning.code for warning in result.warnings}


async def test_pending_is_not_lost(planter: Planter) -> None:
    await planter.verified(1)
    upload = planter.upload()
    planter.intent(upload)
    session_id = await planter.session(upload, "assembling")
    planter.outcome(upload, acked=True)
    moving = asyncio.create_task(keep_moving(planter, session_id))
    try:
        result = await audit(planter, settle_limit_s=1.0)
    finally:
        moving.cancel()
        with suppress(asyncio.CancelledError):
            await moving
    assert (result.table.classes[C.PENDING.value], result.table.classes[C.LOST.value]) == (1, 0)
    assert [warning.code for warning in result.warnings] == ["settle-cut"]
    assert not result.table.failed


async def keep_moving(planter: Planter, session_id: int) -> None:
    """Another process works on the upload: its own connection, so that the audit's stays free."""
    async with asyncio.timeout(60):
        other = await planter.rig.connect_upload()
        try:
            while True:
                await other.execute(
                    "UPDATE upload_sessions SET received_bytes = received_bytes + 1 WHERE id = $1", session_id
                )
                await asyncio.sleep(0.05)
        finally:
            await other.close()


async def test_every_object_is_read_back_when_all_are_asked_for(planter: Planter) -> None:
    await planter.verified(5)
    sampled = Auditor(planter.rig.databases, planter.rig.store, read_all=True)
    result = await sampled.audit(PIECE, planter.lines(), baseline=Baseline())
    assert (result.table.hashed, result.table.compared) == (5, 0)
