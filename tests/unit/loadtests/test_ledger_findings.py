"""What is no intent's class: orphan objects, leftovers, strangers; and the table that counts it all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from loadtests.harness.ledger.classify import classify
from loadtests.harness.ledger.evidence import (
    Baseline,
    OpenMultipart,
    SessionRow,
    SpoolFile,
    StoredObject,
)
from loadtests.harness.ledger.table import make_samples
from tests.unit.loadtests import ledger_world as world
from tests.unit.loadtests.ledger_world import World

pytestmark = pytest.mark.unit

FAILED = world.outcome("a", acked=False)
OBJECT = world.stored("a")
OTHER_ID = UUID(int=77)


def failed_with(**parts: Any) -> World:
    some = World(**parts).verified("b")
    some.intents.append(world.intent("a"))
    some.outcomes.append(FAILED)
    some.sessions.append(world.session("a", "failed"))
    return some


FINDINGS: dict[str, tuple[Callable[[], World], str, int]] = {
    "object of a failed upload": (lambda: failed_with(objects=[OBJECT]), "G-04", 1),
    "multipart of a failed upload": (
        lambda: failed_with(multiparts=[OpenMultipart(world.key_of("a"), "id", 5)]),
        "G-09",
        1,
    ),
    "temporary object of a completed upload": (
        lambda: failed_with(temporary=[StoredObject(f"chunks/{world.upload_id('b')}/0-x", 5, "e")]),
        "G-09",
        1,
    ),
    "spool file of a failed upload": (
        lambda: failed_with(spool=[SpoolFile("spool/0", world.upload_id("a"), 5)]),
        "G-09",
        1,
    ),
    "job of a failed upload": (
        lambda: World([world.intent("b")], sessions=[world.session("b", "failed", job_state="queued")]),
        "G-09",
        1,
    ),
    "session of nobody": (lambda: failed_with(sessions=[world.session("z", checksum=None)]), "G-11", 1),
    "file row of nobody": (lambda: failed_with(files=[world.file("z")]), "G-11", 1),
    "object of nobody": (lambda: failed_with(objects=[world.stored("z")]), "G-11", 1),
    "temporary object of nobody": (
        lambda: failed_with(temporary=[StoredObject("chunks/nobody/0-x", 5, "e")]),
        "G-11",
        1,
    ),
    "another user's new file": (lambda: failed_with(other_file_ids=frozenset({OTHER_ID})), "G-11", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FINDINGS)
def test_finding(name: str) -> None:
    build, flag, count = FINDINGS[name]
    flags = dict(classify(build().evidence()).flags)
    assert flags.pop(flag) == count
    flags.pop("G-12", None)  # every failed upload is a hollow iteration as well
    assert not any(flags.values()), flags


@pytest.mark.parametrize(("came_back", "hollow"), [(True, 1), (False, 0)])
def test_an_upload_dropped_in_silence_is_hollow_one_that_was_cut_off_is_not(
    came_back: bool, hollow: int
) -> None:
    some = World(clients_came_back=came_back).verified("b")
    some.intents.append(world.intent("a"))
    table = some.table()
    assert (table.classes["G-01"], table.flags["G-12"]) == (1, hollow)


def test_pieces_of_an_open_upload_are_no_leftovers() -> None:
    some = World(
        intents=[world.intent("a")],
        sessions=[world.session("a", "uploading", job_state="queued")],
        multiparts=[OpenMultipart(world.key_of("a"), "id", 5)],
        temporary=[StoredObject(f"chunks/{world.upload_id('a')}/0-x", 5, "e")],
        spool=[SpoolFile("spool/0", world.upload_id("a"), 5)],
    )
    assert not any(classify(some.evidence()).flags.values())


def test_what_was_there_before_is_nobody_s_fault() -> None:
    before = Baseline(frozenset({OTHER_ID}), frozenset({"users/x/y", "chunks/x/y"}))
    some = World(
        baseline=before,
        other_file_ids=frozenset({OTHER_ID}),
        objects=[StoredObject("users/x/y", 5, "e")],
        temporary=[StoredObject("chunks/x/y", 5, "e")],
    ).verified("a")
    result = classify(some.evidence())
    table = some.table()
    assert not any(result.flags.values())
    assert (table.failed, table.baseline_files) == (False, 1)


def beginning(returned_key: str | None = "a", **facts: Any) -> SessionRow:
    """A file in one request that broke off and gave its key back."""
    given_back = {"idempotency_key": None, "returned_key": returned_key, "checksum": None}
    return world.session("earlier", "aborted", **(given_back | facts))


@pytest.mark.parametrize("checksum", [world.digest_of("a"), None])
def test_a_broken_beginning_is_neither_a_double_nor_a_stranger(checksum: str | None) -> None:
    some = World(sessions=[beginning(checksum=checksum)]).verified("a")
    result = classify(some.evidence())
    assert not any(result.flags.values())
    assert some.table().classes["verified"] == 1


@pytest.mark.parametrize("returned_key", [None, "nobody's"])
def test_a_broken_beginning_of_no_known_upload_is_a_stranger(returned_key: str | None) -> None:
    some = World(sessions=[beginning(returned_key)]).verified("a")
    table = some.table()
    assert (table.flags["G-11"], table.failed) == (1, True)


def test_a_broken_beginning_that_became_a_file_as_well_is_a_double() -> None:
    some = World(sessions=[beginning()], files=[world.file("earlier")]).verified("a")
    assert some.table().classes["G-07"] == 1


def test_what_is_stuck_behind_a_broken_beginning_is_stuck() -> None:
    """Whichever id sorts first: the client was told of neither."""
    for ref in ("a", "b", "c", "d"):
        some = World(
            intents=[world.intent(ref)],
            outcomes=[world.outcome(ref, acked=False, upload_uuid=None)],
            sessions=[beginning(ref), world.session(ref, "pending", ended_at=None)],
        )
        assert some.table().classes["G-06"] == 1


@pytest.mark.parametrize("etag", ["of its own", world.etag_of("a")])
def test_what_a_broken_beginning_left_in_the_store_is_an_orphan(etag: str) -> None:
    some = World(sessions=[beginning()], objects=[world.stored("earlier", etag=etag)]).verified("a")
    result = classify(some.evidence())
    assert {flag: count for flag, count in result.flags.items() if count} == {"G-04": 1}
    assert some.table().classes["verified"] == 1


def test_a_second_session_with_a_file_is_a_double_even_without_key() -> None:
    second = world.session("second", idempotency_key=None, checksum=world.digest_of("a"))
    some = World(sessions=[second]).verified("a")
    assert some.table().classes["G-07"] == 1


def test_a_stranger_fails_the_audit() -> None:
    some = World(objects=[world.stored("z")]).verified("a")
    table = some.table()
    assert (table.classes["verified"], table.flags["G-11"], table.failed) == (1, 1, True)


def test_table_adds_up_and_lists_offenders() -> None:
    some = failed_with(objects=[OBJECT])
    some.intents.append(world.intent("lost"))
    some.outcomes.append(world.outcome("lost"))
    evidence = some.evidence()
    result = classify(evidence)
    table = some.table()
    assert sum(table.classes.values()) == table.intents == 3
    assert (table.acks, table.hashed, table.compared) == (2, 0, 1)
    assert table.verified_bytes == table.stored_bytes == world.SIZE
    assert table.failed
    assert [row["class"] for row in table.offending] == ["G-02", "user", "G-04"]
    assert table.offending[0]["reason"] == "acknowledged, but the id given to the client does not exist"
    samples = {sample.upload_ref: sample for sample in make_samples(result)}
    assert samples["b"].acked_at == world.ACKED_AT
    assert samples["b"].failed_at is None
    assert (samples["a"].failed_step, samples["a"].failed_status) == ("chunk", 503)
    assert samples["a"].flags == ("G-04", "G-12")


def test_the_table_tells_arms_and_users_apart() -> None:
    some = World().verified("a", "b")
    some.intents[1] = some.intents[1].model_copy(update={"arm": "direct-single"})
    some.files.pop()  # the second was acknowledged, and its row is gone
    table = some.table()
    assert table.by_arm == {"proxy-chunked": {"verified": 1}, "direct-single": {"G-02": 1}}
    assert table.by_user == {str(world.USER): {"intents": 2, "acks": 2, "verified": 1, "files": 1}}


def test_who_lacks_an_acknowledged_file_is_named_though_another_came_unheard() -> None:
    """As many files as acknowledgements, but not the files that were acknowledged."""
    some = World().verified("a", "b")
    some.outcomes[0] = world.outcome("a", acked=False)
    some.intents.append(world.intent("c"))
    some.outcomes.append(world.outcome("c"))
    table = some.table()
    (named,) = [row for row in table.offending if row["class"] == "user"]
    assert named["user_id"] == str(world.USER)
    assert named["reason"].startswith("2 uploads were acknowledged to this user, of which 1 ")


def test_a_file_of_another_user_is_no_file_of_the_one_who_sent_it() -> None:
    some = World().verified("a")
    some.files[0] = world.file("a", user_id=world.OTHER)
    assert some.table().by_user[str(world.USER)] == {"intents": 1, "acks": 1, "verified": 0, "files": 0}
