"""What a warm-up decides."""

from __future__ import annotations

import pytest

from loadtests.harness.plan.warm_up import DEFAULT_VUS, durable_s, saturating_vus, turn_s, with_rate, with_vus
from loadtests.harness.records.plan import Arm, Part, PartKind
from loadtests.harness.records.samples import UploadSample
from loadtests.harness.records.vocabulary import LedgerClass

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("rates", "vus"),
    [
        ({8: 50.0, 16: 80.0, 24: 100.0, 32: 105.0, 48: 109.0}, 24),  # 9 % more is no gain
        ({8: 100.0, 16: 90.0, 24: 95.0}, 8),
        ({8: 50.0, 16: 52.0, 24: 58.0}, 24),
        ({8: 0.0, 16: 0.0}, DEFAULT_VUS),
        ({}, DEFAULT_VUS),
    ],
)
def test_the_fewest_vus_that_load_the_machine(rates: dict[int, float], vus: int) -> None:
    assert saturating_vus({level: {"a": rate, "b": rate} for level, rate in rates.items()}) == vus


def test_both_arms_must_gain_together() -> None:
    assert saturating_vus({8: {"a": 100.0, "b": 50.0}, 16: {"a": 114.0, "b": 57.0}}) == 16
    assert saturating_vus({8: {"a": 100.0, "b": 50.0}, 16: {"a": 110.0, "b": 45.0}}) == 8
    assert saturating_vus({8: {"a": 100.0, "b": 0.0}, 16: {"a": 90.0, "b": 1.0}}) == 16


def test_turns_follow_the_slowest_arm() -> None:
    assert turn_s(3.0, 0.7, [[0.1, 0.2, 0.3], [0.1, 0.1, 0.1]]) == (3.0, 0.7)
    period_s, washout_s = turn_s(3.0, 0.7, [[1.0, 2.0, 3.0], [0.1]])
    assert period_s == 12.0  # six times the median
    assert washout_s == 2.0
    assert turn_s(3.0, 0.7, [[0.5] * 3 + [9.5] * 3]) == (30.0, 9.5)
    assert turn_s(3.0, 0.7, [[0.2] * 10 + [9.0] * 9]) == (3.0, 1.5), "at most half a period"
    assert turn_s(3.0, 0.7, []) == (3.0, 0.7)


def upload(arm: str, durable_at: float | None, ledger: LedgerClass = LedgerClass.VERIFIED) -> UploadSample:
    return UploadSample(
        upload_ref="r", stretch="s", arm=arm, user_id="u", size_bytes=1, intent_at=1.0, started_at=1.0,
        durable_at=durable_at, ledger=ledger,
    )  # fmt: skip


def test_only_verified_uploads_say_how_long_one_takes() -> None:
    samples = [upload("a", 3.0), upload("a", 2.0), upload("b", None), upload("b", 2.0, LedgerClass.LOST)]
    assert durable_s(samples) == {"a": [1.0, 2.0]}


def part(kind: PartKind, *vus: int, strategy: str | None = "s") -> Part:
    arms = tuple(
        Arm(
            name=f"s {one} VU", of="s", title="s", colour="#000000", strategy=strategy, file_size_bytes=1,
            piece_bytes=1, vus=one,
        )
        for one in vus
    )  # fmt: skip
    return Part(name="p", kind=kind, arms=arms, period_s=3, washout_s=0.7, first_blocks=1, most_blocks=1)


def test_vus_of_a_part_keep_their_proportion() -> None:
    found = with_vus(part(PartKind.LEVELS, 3, 16, 32), 16, 32)
    assert [(arm.name, arm.vus) for arm in found.arms] == [("s 6 VU", 6), ("s 32 VU", 32), ("s 64 VU", 64)]
    sizes = part(PartKind.SIZES, 1, 8)
    assert with_vus(sizes, 16, 32) == sizes


def test_neighbours_are_watched_beside_a_rate_that_the_slower_arm_keeps_up_with() -> None:
    found = with_rate(part(PartKind.NEIGHBOURS, 0), 50.0)
    assert found.arms[0].rate_per_s == 30.0
    nobody = part(PartKind.NEIGHBOURS, 0, strategy=None)
    assert with_rate(nobody, 50.0) == nobody
    closed = part(PartKind.COMPARE, 4)
    assert with_rate(closed, 50.0) == closed
