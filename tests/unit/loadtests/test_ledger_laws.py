"""Laws of the ledger, on worlds that hypothesis draws."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.harness.ledger.classify import classify
from loadtests.harness.records.vocabulary import LedgerClass
from tests.unit.loadtests import ledger_world as world
from tests.unit.loadtests.ledger_world import World

pytestmark = pytest.mark.unit

C = LedgerClass
STATES = st.sampled_from(
    ["pending", "assembling", "uploading", "completing", "completed", "failed", "aborted"]
)
REF = st.sampled_from(["a", "b", "c"])


ROWS = st.lists(
    st.tuples(REF, st.booleans()), max_size=4, unique_by=lambda row: row if row[1] else object()
)  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    some = World(intents=[world.intent(ref) for ref in "abc"])
    some.outcomes = [
        world.outcome(ref, acked=draw(st.booleans())) for ref in draw(st.sets(REF))
    ]  # fmt: skip
    # Ids and keys are unique in the databases; which of them are the upload's own is drawn.
    some.sessions = [
        world.session(
            ref,
            draw(STATES),
            upload_uuid=world.upload_id(ref) if own else UUID(int=50 + number),
            idempotency_key=draw(st.sampled_from([ref, None, "unknown"])),
            checksum=draw(st.sampled_from([world.digest_of(ref), None])),
            storage_key=world.key_of(ref) if own else f"users/x/{number}",
        )
        for number, (ref, own) in enumerate(draw(ROWS))
    ]
    some.files = [
        world.file(
            ref,
            file_uuid=world.upload_id(ref) if own else UUID(int=60 + number),
            storage_key=world.key_of(ref) if own else f"users/y/{number}",
            deleted=draw(st.booleans()),
        )
        for number, (ref, own) in enumerate(draw(ROWS))
    ]
    some.objects = [world.stored(ref) for ref in draw(st.sets(st.sampled_from(["a", "b", "c", "z"])))]
    some.progressing = frozenset(world.upload_id(ref) for ref in draw(st.sets(REF)))
    some.hashes = {world.key_of(ref): world.digest_of(draw(REF)) for ref in draw(st.sets(REF))}
    return some


@settings(max_examples=300)
@given(some=worlds())
def test_every_intent_gets_exactly_one_class(some: World) -> None:
    evidence = some.evidence()
    result = classify(evidence)
    table = some.table()
    assert [verdict.intent.upload_ref for verdict in result.verdicts] == ["a", "b", "c"]
    assert sum(table.classes.values()) == 3
    assert table.verified_bytes == table.stored_bytes
    for verdict in result.verdicts:
        acked = verdict.outcome is not None and verdict.outcome.acked
        if verdict.kind is C.VERIFIED:
            assert acked and verdict.stored is not None and verdict.file is not None
            assert verdict.stored.size_bytes == verdict.intent.size_bytes
        if verdict.kind in {C.NO_TRACE, C.CLEAN_FAILURE, C.STUCK, C.LATE_SUCCESS}:
            assert not acked  # whatever was acknowledged is verified, pending, or fails the trial


@settings(max_examples=100)
@given(some=worlds(), order=st.randoms())
def test_the_order_of_rows_does_not_matter(some: World, order: Random) -> None:
    before = classify(some.evidence())
    for rows in (some.sessions, some.files, some.objects):
        order.shuffle(rows)
    after = classify(some.evidence())
    assert [verdict.kind for verdict in before.verdicts] == [verdict.kind for verdict in after.verdicts]
    assert before.flags == after.flags
