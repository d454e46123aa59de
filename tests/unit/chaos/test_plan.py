"""Cases: equal seeds draw equal cases, and everything that may be drawn is drawn within a few hundred."""

from __future__ import annotations

from collections import Counter

import pytest

from services.kit.s3.transport import READ_S, SLOW_READ_S
from tests.chaos.plan import (
    MAX_CASE_BYTES,
    MAX_CHUNK_BYTES,
    MAX_FILE_BYTES,
    MIN_PART_BYTES,
    SLOW_OPS,
    Action,
    Case,
    Kind,
    Strategy,
    Upload,
    draw,
)

pytestmark = pytest.mark.unit

CASES = [draw(seed) for seed in range(600)]
UPLOADS = [upload for case in CASES for upload in case.uploads]


def test_a_seed_is_a_case() -> None:
    assert [draw(case.seed) for case in CASES] == CASES
    assert len({case.uploads for case in CASES}) == len(CASES)


def test_everything_is_drawn() -> None:
    faults = [fault for case in CASES for fault in case.faults]
    assert {fault.kind for fault in faults} | {Kind.NONE} == set(Kind)
    assert {fault.action for fault in faults if fault.kind is Kind.STORE} == set(Action)
    assert {case.chunk_store for case in CASES} == {"s3", "disk"}
    assert {case.clock_ahead for case in CASES} == {True, False}
    assert {upload.strategy for upload in UPLOADS} == set(Strategy)
    for kind in (Kind.KILL, Kind.PAUSE):
        struck = {target for fault in faults if fault.kind is kind for target in fault.targets}
        services = {"gateway", "auth", "upload", "files"}
        assert struck == services | {f"{name}-2" for name in services} | {
            *("pg-auth", "pg-upload", "pg-files", "store")
        }


def test_stalls_are_shorter_and_longer_than_the_store_client_waits() -> None:
    cases = (draw(seed) for seed in range(3000))
    stalls = [fault for case in cases for fault in case.faults if fault.action is Action.STALL]
    ordinary = [fault.length_s for fault in stalls if fault.targets[0] not in SLOW_OPS]
    slow = [fault.length_s for fault in stalls if fault.targets[0] in SLOW_OPS]
    assert min(ordinary) < 1 < READ_S < max(ordinary) < READ_S + 5
    assert min(slow) < 1 < SLOW_READ_S < max(slow) < SLOW_READ_S + 5
    assert all(fault.count == 1 for fault in stalls if fault.length_s > READ_S)


@pytest.mark.parametrize(
    "trait",
    [
        lambda upload: upload.size_bytes == 0,
        lambda upload: 1 in upload.slices,
        lambda upload: MIN_PART_BYTES - 1 in upload.slices,
        lambda upload: MAX_CHUNK_BYTES in upload.slices,
        lambda upload: upload.size_bytes == MAX_FILE_BYTES,
        lambda upload: len(upload.slices) >= 12,
        lambda upload: upload.order != tuple(sorted(upload.order)),
        lambda upload: upload.again,
        lambda upload: upload.broken,
        lambda upload: upload.replaced is not None,
        lambda upload: upload.twice,
        lambda upload: upload.afterwards,
        lambda upload: not upload.checksums,
        lambda upload: upload.stops_after is not None and upload.aborts,
    ],
)  # fmt: skip
def test_every_trait_of_an_upload_is_drawn(trait: object) -> None:
    assert callable(trait)
    assert sum(bool(trait(upload)) for upload in UPLOADS) >= 3


def test_uploads_are_ones_that_the_contract_takes() -> None:
    for upload in UPLOADS:
        assert upload.size_bytes <= MAX_FILE_BYTES
        assert sorted(upload.order) == list(range(len(upload.slices)))
        assert all(1 <= size <= MAX_CHUNK_BYTES for size in slices_by_proxy(upload))
        if upload.strategy is Strategy.MULTIPART and len(upload.slices) > 1:
            assert {*upload.slices[:-1]} == {upload.slices[0]}
            assert upload.slices[0] >= MIN_PART_BYTES
        if upload.replaced is not None:
            assert upload.order[-1] != upload.replaced, "its right bytes must come after the wrong ones"


def slices_by_proxy(upload: Upload) -> tuple[int, ...]:
    return upload.slices if upload.strategy is Strategy.PROXY else ()


def test_a_case_stays_small() -> None:
    assert max(sum(upload.size_bytes for upload in case.uploads) for case in CASES) <= MAX_CASE_BYTES
    assert Counter(len(case.faults) for case in CASES)[1] > len(CASES) / 3


def test_a_plan_is_told_whole() -> None:
    case: Case = CASES[3]
    told = case.told()
    assert told["seed"] == 3
    assert [upload["seed"] for upload in told["uploads"]] == [upload.seed for upload in case.uploads]


def test_a_store_that_keeps_beginnings_is_spared_puts_that_break_off_and_nothing_else() -> None:
    every = frozenset(Strategy)
    for case in CASES[:100]:
        spared = case.within(every, keeps_beginnings=True)
        assert case.within(every) == case
        assert not any(one.broken for one in spared.uploads if one.strategy is Strategy.SINGLE)
        drawn = zip(case.uploads, spared.uploads, strict=True)
        assert all(one == other for one, other in drawn if one.strategy is not Strategy.SINGLE)
