"""Bare PUTs: every answer must be an object of the right bytes."""

import pytest

from loadtests.harness.auditing.audit_raw import count_raw, raw_key, raw_table
from loadtests.harness.auditing.ledger_records import Console, StoredObject
from loadtests.harness.planning.payload import UploadRow
from loadtests.harness.records.model import Load, Question, StepSample, TrialPlan

pytestmark = pytest.mark.unit

ROWS = [
    UploadRow(f"r{index}", f"sha{index}", (), (), (f"md5-of-{index}".replace("-", ""),)) for index in range(4)
]
PLAN = TrialPlan(
    trial="t1", question=Question.RAW, arm="raw-put", file_size_bytes=10, load=Load(executor="constant-vus"),
    seed=1, level="1 VU",
)  # fmt: skip


def stored(index: int, size_bytes: int = 10, etag: str | None = None) -> StoredObject:
    return StoredObject(raw_key(f"r{index}"), size_bytes, etag or f"md5of{index}")


def console(ok: int, failed: int = 0) -> Console:
    answers = [True] * ok + [False] * failed
    steps = (
        StepSample(trial="t1", step="put", started_at=0.0, duration_ms=1.0, status=200, ok=answer)
        for answer in answers
    )
    return Console(steps=tuple(steps))


HASHES = {raw_key("r0"): "sha0"}
CASES = {  # answered, failed, objects -> verified, lost, corrupt, foreign, fails
    "all there": (2, 0, [stored(0), stored(1)], (2, 0, 0, 0, False)),
    "one more, cut off": (1, 0, [stored(0), stored(1)], (1, 0, 0, 0, False)),
    "one refused": (1, 1, [stored(0)], (1, 0, 0, 0, False)),
    "one lost": (2, 0, [stored(0)], (1, 1, 0, 0, True)),
    "one short": (2, 0, [stored(0), stored(1, size_bytes=9)], (1, 0, 1, 0, True)),
    "one with other bytes": (2, 0, [stored(0), stored(1, etag="zzz")], (1, 0, 1, 0, True)),
    "a stranger": (1, 0, [stored(0), stored(9)], (1, 0, 0, 1, True)),
}


@pytest.mark.parametrize("name", CASES)
def test_counts(name: str) -> None:
    ok, failed, objects, expected = CASES[name]
    counts = count_raw(console(ok, failed), ROWS, objects, HASHES, 10)
    table = raw_table(PLAN, counts, hashed=1)
    classes = tuple(table.classes[name] for name in ("verified", "G-02", "G-03"))
    assert (*classes, table.flags["G-11"], table.failed) == expected
    assert table.verified_bytes == table.stored_bytes == table.classes["verified"] * 10


def test_etags_of_another_kind_are_not_compared() -> None:
    objects = [stored(0, etag="x"), stored(1, etag="y")]
    assert count_raw(console(2), ROWS, objects, HASHES, 10).corrupt == ()


def test_read_back_bytes_decide() -> None:
    assert count_raw(console(1), ROWS, [stored(0)], {raw_key("r0"): "other"}, 10).corrupt == (raw_key("r0"),)
