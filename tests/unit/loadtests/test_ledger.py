"""The ledger's rules: every way an upload can end, and every intent exactly once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from loadtests.harness.ledger.classify import classify
from loadtests.harness.ledger.evidence import Baseline, FileRow, StoredObject
from loadtests.harness.records.samples import Intent
from loadtests.harness.records.vocabulary import LedgerClass
from tests.unit.loadtests import ledger_world as world
from tests.unit.loadtests.ledger_world import World

pytestmark = pytest.mark.unit

C = LedgerClass
ACKED = world.outcome("a")
FAILED = world.outcome("a", acked=False)
DONE, FILE, OBJECT = world.session("a"), world.file("a"), world.stored("a")
OTHER_ID = UUID(int=77)

# client saw, session rows, file rows, objects -> class
CASES = {
    "whole, acknowledged": (ACKED, [DONE], [FILE], [OBJECT], C.VERIFIED),
    "whole, client saw an error": (FAILED, [DONE], [FILE], [OBJECT], C.LATE_SUCCESS),
    "whole, client was cut off": (None, [DONE], [FILE], [OBJECT], C.LATE_SUCCESS),
    "session row retired": (ACKED, [], [FILE], [OBJECT], C.VERIFIED),
    "refused, no session": (FAILED, [], [], [], C.NO_TRACE),
    "cut off before the session": (None, [], [], [], C.NO_TRACE),
    "failed at both ends": (FAILED, [world.session("a", "failed")], [], [], C.CLEAN_FAILURE),
    "aborted": (FAILED, [world.session("a", "aborted")], [], [], C.CLEAN_FAILURE),
    "acknowledged, no row at all": (ACKED, [], [], [], C.LOST),
    "acknowledged, session failed": (ACKED, [world.session("a", "failed")], [], [], C.LOST),
    "acknowledged, session stuck": (ACKED, [world.session("a", "assembling")], [], [OBJECT], C.LOST),
    "acknowledged, not finished": (ACKED, [world.session("a", "completing")], [FILE], [OBJECT], C.LOST),
    "acknowledged, file row missing": (ACKED, [DONE], [], [OBJECT], C.LOST),
    "completed, file row missing, not told": (FAILED, [DONE], [], [OBJECT], C.LOST),
    "acknowledged, file deleted": (ACKED, [DONE], [replace(FILE, deleted=True)], [OBJECT], C.LOST),
    "another id was given": (world.outcome("a", upload_uuid=str(OTHER_ID)), [DONE], [FILE], [OBJECT], C.LOST),
    "object shorter": (ACKED, [DONE], [FILE], [replace(OBJECT, size_bytes=999)], C.CORRUPT),
    "row says another size": (ACKED, [DONE], [replace(FILE, size_bytes=999)], [OBJECT], C.CORRUPT),
    "session says another size": (ACKED, [replace(DONE, size_bytes=999)], [FILE], [OBJECT], C.CORRUPT),
    "row says another checksum": (ACKED, [DONE], [replace(FILE, checksum="0" * 64)], [OBJECT], C.CORRUPT),
    "session says another checksum": (ACKED, [replace(DONE, checksum="0" * 64)], [FILE], [OBJECT], C.CORRUPT),
    "object replaced": (ACKED, [DONE], [FILE], [replace(OBJECT, etag="other")], C.CORRUPT),
    "chunks do not add up": (ACKED, [replace(DONE, chunk_bytes=999)], [FILE], [OBJECT], C.CORRUPT),
    "parts do not add up": (ACKED, [replace(DONE, part_bytes=999)], [FILE], [OBJECT], C.CORRUPT),
    "given to another user": (ACKED, [DONE], [replace(FILE, user_id=world.OTHER)], [OBJECT], C.CORRUPT),
    "aborted, yet the file lives": (FAILED, [world.session("a", "aborted")], [FILE], [OBJECT], C.CORRUPT),
    "file row without object": (ACKED, [DONE], [FILE], [], C.ORPHAN_ROW),
    "file row without object, not told": (FAILED, [DONE], [FILE], [], C.ORPHAN_ROW),
    "abandoned": (FAILED, [world.session("a", "pending")], [], [], C.STUCK),
    "cut off and stuck": (None, [world.session("a", "completing")], [FILE], [OBJECT], C.STUCK),
    "two file rows": (
        ACKED,
        [DONE],
        [FILE, replace(FILE, file_uuid=OTHER_ID, upload_uuid=None, storage_key="users/x/y")],
        [OBJECT],
        C.DUPLICATE,
    ),
    "two objects": (ACKED, [DONE], [FILE], [OBJECT, replace(OBJECT, key="users/x/y")], C.DUPLICATE),
    "two objects, the second of other bytes under the same id": (
        ACKED,
        [DONE],
        [FILE],
        [OBJECT, StoredObject(f"users/x/{world.upload_id('a')}", 5, "zz")],
        C.DUPLICATE,
    ),
    "two sessions": (
        ACKED,
        [DONE, replace(DONE, upload_uuid=OTHER_ID, user_id=world.OTHER, storage_key="users/x/y")],
        [FILE],
        [OBJECT],
        C.DUPLICATE,
    ),
    "two sessions, the second without a key": (
        ACKED,
        [DONE, replace(DONE, upload_uuid=OTHER_ID, idempotency_key=None, storage_key="users/x/y")],
        [FILE],
        [OBJECT],
        C.DUPLICATE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_class(name: str) -> None:
    outcome, sessions, files, objects, expected = CASES[name]
    spoiled = World(
        intents=[world.intent("a")],
        outcomes=[outcome] if outcome else [],
        sessions=sessions,
        files=files,
        objects=objects,
    ).verified("b", "c")
    result = classify(spoiled.evidence())
    assert {verdict.intent.upload_ref: verdict.kind for verdict in result.verdicts} == {
        "a": expected,
        "b": C.VERIFIED,
        "c": C.VERIFIED,
    }, result.verdicts[0].reason


@pytest.mark.parametrize(
    ("files", "objects", "there"), [([FILE], [OBJECT], True), ([], [OBJECT], False), ([FILE], [], False)]
)
def test_lost_by_its_state_and_there_all_the_same(
    files: list[FileRow], objects: list[StoredObject], there: bool
) -> None:
    """Registered and never ended, as a kill between the two leaves it."""
    stuck = World(
        intents=[world.intent("a")],
        outcomes=[ACKED],
        sessions=[world.session("a", "assembling")],
        files=files,
        objects=objects,
    )
    (verdict,) = classify(stuck.evidence()).verdicts
    assert verdict.kind is (C.LOST if objects else C.ORPHAN_ROW)
    assert ("unfinished" in verdict.flags) is there


@pytest.mark.parametrize("acked", [True, False])
@pytest.mark.parametrize("files", [[], [FILE]])
def test_what_still_moves_is_pending_not_lost(acked: bool, files: list[FileRow]) -> None:
    moving = World(
        intents=[world.intent("a")],
        outcomes=[world.outcome("a", acked=acked)],
        sessions=[world.session("a", "completing", job_state="running")],
        files=files,
        objects=[OBJECT],
        progressing=frozenset({world.upload_id("a")}),
    )
    result = classify(moving.evidence())
    assert result.verdicts[0].kind is C.PENDING
    assert result.flags["G-04"] == 0
    assert result.flags["G-10"] == int(acked)


def test_bytes_read_back_decide_over_rows() -> None:
    spoiled = World(hashes={world.key_of("a"): "f" * 64}).verified("a")
    verdict = classify(spoiled.evidence()).verdicts[0]
    assert verdict.kind is C.CORRUPT
    assert "hashed" in verdict.flags
    unreadable = World(hashes={world.key_of("a"): ""}).verified("a")
    assert classify(unreadable.evidence()).verdicts[0].kind is C.CORRUPT


def test_md5_is_compared_only_where_the_store_shows_that_its_etags_are_md5() -> None:
    expected = {ref: frozenset({world.etag_of(ref), f"{world.etag_of(ref)}-1"}) for ref in "ab"}
    read_back = {world.key_of("b"): world.digest_of("b")}
    # The rows agree with the object, but its bytes are not those that were sent.
    wrong: dict[str, Any] = {"etag": "e" * 32}
    spoiled = World(hashes=read_back, expected_etags=expected).verified("b")
    spoiled.intents.append(world.intent("a"))
    spoiled.outcomes.append(ACKED)
    spoiled.sessions.append(replace(DONE, **wrong))
    spoiled.files.append(replace(FILE, **wrong))
    spoiled.objects.append(replace(OBJECT, **wrong))
    assert kinds(spoiled)["a"] is C.CORRUPT
    # Nothing read back: nothing is known about the store's ETags.
    spoiled.hashes = {}
    assert kinds(spoiled)["a"] is C.VERIFIED
    # A store with other ETags: the object that was read back is right although its ETag is no MD5.
    spoiled.hashes = read_back
    spoiled.expected_etags = {ref: frozenset({"0" * 32}) for ref in "ab"}
    assert kinds(spoiled)["a"] is C.VERIFIED
    # An ETag of another form than all that are expected says nothing either.
    spoiled.expected_etags = expected
    rows: list[list[Any]] = [spoiled.sessions, spoiled.files, spoiled.objects]
    for table in rows:
        table[-1] = replace(table[-1], etag=f"{'e' * 32}-3")
    assert kinds(spoiled)["a"] is C.VERIFIED


def kinds(some: World) -> dict[str, LedgerClass]:
    return {verdict.intent.upload_ref: verdict.kind for verdict in classify(some.evidence()).verdicts}


ACK_CASES = [  # clock offset of the database, durable by its clock -> early
    (0.0, world.ACKED_AT - 0.001, 0),
    (0.0, world.ACKED_AT + 0.0005, 0),  # within the client's clock step
    (0.0, world.ACKED_AT + 0.5, 1),
    (5.0, world.ACKED_AT + 4.9, 0),  # the database's clock is ahead
    (-5.0, world.ACKED_AT - 4.9, 1),
]


@pytest.mark.parametrize(("offset_s", "ended_at", "early"), ACK_CASES)
def test_early_ack_is_judged_on_one_clock(offset_s: float, ended_at: float, early: int) -> None:
    some = World(offsets={"upload_db": offset_s, "files_db": offset_s}).verified("a")
    some.sessions[0] = replace(DONE, ended_at=ended_at)
    some.files[0] = replace(FILE, visible_at=ended_at + 0.25)
    result = classify(some.evidence())
    assert result.flags["G-10"] == early
    assert result.verdicts[0].durable_at == pytest.approx(ended_at - offset_s)
    assert result.verdicts[0].visible_at == pytest.approx(ended_at - offset_s + 0.25)


def test_shared_content_joins_nothing() -> None:
    """Two uploads of equal bytes: a third row with these bytes belongs to neither."""
    some = World().verified("a", "b")
    some.intents = [some.intents[0], replace_intent("b", sha256=world.digest_of("a"))]
    some.sessions[1] = replace(some.sessions[1], checksum=world.digest_of("a"))
    some.files[1] = replace(some.files[1], checksum=world.digest_of("a"))
    some.files.append(replace(FILE, file_uuid=OTHER_ID, upload_uuid=None, storage_key="users/x/y"))
    result = classify(some.evidence())
    assert {verdict.kind for verdict in result.verdicts} == {C.VERIFIED}
    assert result.flags["G-11"] == 1


def test_files_of_one_request_are_known_by_the_keys_that_the_service_made_of_its_own() -> None:
    """Nobody was told of an id, and contents that are equal tell nothing."""
    some = World().verified("a", "b")
    some.outcomes = [world.outcome(ref, acked=False, upload_uuid=None) for ref in "ab"]
    some.intents = [replace_intent(ref, key=f"a/{at}", sha256="0" * 64) for at, ref in enumerate("ab")]
    for at in range(2):
        some.sessions[at] = replace(some.sessions[at], idempotency_key=f"a/{at}", checksum="0" * 64)
        some.files[at] = replace(some.files[at], checksum="0" * 64)
    result = classify(some.evidence())
    assert {verdict.intent.upload_ref: verdict.kind for verdict in result.verdicts} == dict.fromkeys(
        "ab", C.LATE_SUCCESS
    )
    assert result.flags["G-11"] == 0


def replace_intent(ref: str, **changes: str) -> Intent:
    return world.intent(ref).model_copy(update=changes)


def test_one_wrong_etag_of_two_is_enough() -> None:
    """The file row agrees with the object, the session row does not."""
    some = World().verified("a")
    some.sessions[0] = replace(DONE, etag="another")
    assert kinds(some)["a"] is C.CORRUPT


def test_quotes_around_an_etag_mean_nothing() -> None:
    some = World().verified("a")
    some.sessions[0] = replace(DONE, etag=f'"{DONE.etag}"')
    assert kinds(some)["a"] is C.VERIFIED


def test_a_copy_that_was_there_before_is_no_second_object() -> None:
    copy = replace(OBJECT, key="users/x/y")
    some = World(objects=[copy], baseline=Baseline(object_keys=frozenset({copy.key}))).verified("a")
    assert kinds(some)["a"] is C.VERIFIED
