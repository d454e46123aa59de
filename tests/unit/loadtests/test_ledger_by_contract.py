"""Classes as far as the contract shows them: what a list, a status and a download say of one upload."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.harness.ledger.by_contract import Seen, classify_seen, not_decidable, rule_seen, strangers
from loadtests.harness.ledger.table import make_samples, make_table
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.testbeds.target import Downloaded, ListedFile, Status
from tests.unit.loadtests import ledger_world as world

pytestmark = pytest.mark.unit

C = LedgerClass
ID, OTHER_ID = str(world.upload_id("a")), str(world.upload_id("z"))
ACKED, FAILED = world.outcome("a"), world.outcome("a", acked=False)
FILE = ListedFile(ID, str(world.USER), "a.bin", world.SIZE, None)
DONE, OPEN, ABORTED = Status("completed", ID), Status("uploading", None), Status("aborted", None)
RIGHT = Downloaded(200, world.SIZE, world.digest_of("a"))
WHOLE = Seen(world.intent("a"), ACKED, DONE, (FILE,), download=RIGHT)

CASES = {
    "whole": (WHOLE, C.VERIFIED),
    "whole, not in the sample": (replace(WHOLE, download=None), C.VERIFIED),
    "whole, its status is gone": (replace(WHOLE, status=None), C.VERIFIED),
    "whole, client saw an error": (replace(WHOLE, outcome=FAILED), C.LATE_SUCCESS),
    "whole, client was cut off": (replace(WHOLE, outcome=None), C.LATE_SUCCESS),
    "two files": (replace(WHOLE, files=(FILE, replace(FILE, file_id=OTHER_ID))), C.DUPLICATE),
    "another owner": (replace(WHOLE, files=(replace(FILE, owner_id=str(world.OTHER)),)), C.CORRUPT),
    "another size": (replace(WHOLE, files=(replace(FILE, size_bytes=9),)), C.CORRUPT),
    "another checksum in the list": (replace(WHOLE, files=(replace(FILE, checksum="0" * 64),)), C.CORRUPT),
    "another file in the status": (replace(WHOLE, status=Status("completed", OTHER_ID)), C.CORRUPT),
    "other bytes": (replace(WHOLE, download=Downloaded(200, world.SIZE, "0" * 64)), C.CORRUPT),
    "aborted, yet listed": (replace(WHOLE, status=ABORTED), C.CORRUPT),
    "cannot be downloaded": (replace(WHOLE, download=Downloaded(404, 0, "")), C.ORPHAN_ROW),
    "acknowledged, not listed": (replace(WHOLE, files=()), C.LOST),
    "completed, not listed, not told": (replace(WHOLE, outcome=FAILED, files=()), C.LOST),
    "acknowledged, unknown": (replace(WHOLE, status=None, files=()), C.LOST),
    "acknowledged, still open": (replace(WHOLE, status=OPEN, files=()), C.LOST),
    "acknowledged, listed, still open": (replace(WHOLE, status=OPEN), C.LOST),
    "acknowledged, still moving": (replace(WHOLE, status=OPEN, files=(), moving=True), C.PENDING),
    "stuck": (replace(WHOLE, outcome=FAILED, status=OPEN, files=()), C.STUCK),
    "clean failure": (replace(WHOLE, outcome=FAILED, status=ABORTED, files=()), C.CLEAN_FAILURE),
    "refused": (Seen(world.intent("a"), FAILED), C.NO_TRACE),
}


@pytest.mark.parametrize("name", CASES)
def test_class(name: str) -> None:
    seen, kind = CASES[name]
    assert rule_seen(seen).kind is kind


def test_it_becomes_the_ledger_s_table_and_samples() -> None:
    seen = [WHOLE, replace(WHOLE, intent=world.intent("b"), files=(), download=None)]
    strange = strangers([[FILE, replace(FILE, name="other.bin")]], [WHOLE.intent])
    classified = classify_seen(seen, strange, clients_came_back=True)
    table = make_table(0, "", ("s001",), 0, classified)
    assert (table.classes["verified"], table.classes["G-02"], table.hashed) == (1, 1, 1)
    assert table.flags == {"G-11": 1, "G-12": 1}  # the others are not decidable, so they are not zero
    assert table.verified_bytes == table.stored_bytes == world.SIZE
    assert table.by_user[str(world.USER)] == {"intents": 2, "acks": 2, "verified": 1, "files": 1}
    assert table.failed
    sample = make_samples(classified)[0]
    assert sample.durable_at == sample.acked_at == world.ACKED_AT


def test_what_is_not_decidable_is_said() -> None:
    assert all(flag in not_decidable().message for flag in ("G-04", "G-09", "G-10"))
