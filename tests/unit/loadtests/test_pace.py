"""What is believed of an arm's speed before and after it was seen."""

from __future__ import annotations

import pytest

from loadtests.harness.plan.pace import MOST_BYTES_PER_S, STRETCH_LIMIT_S, Pace
from loadtests.harness.records.plan import Arm, Part, PartKind

pytestmark = pytest.mark.unit
MIB = 1024 * 1024


def arm(name: str = "a", size_bytes: int = MIB, rate_per_s: float | None = None) -> Arm:
    return Arm(
        name=name, of=name, title=name, colour="#000000", strategy="direct-single",
        file_size_bytes=size_bytes, piece_bytes=size_bytes, vus=4, rate_per_s=rate_per_s,
    )  # fmt: skip


def part(*arms: Arm, kind: PartKind = PartKind.COMPARE) -> Part:
    return Part(name="p", kind=kind, arms=arms, period_s=3.0, washout_s=0.7, first_blocks=8, most_blocks=8)


def test_what_was_seen_counts() -> None:
    pace = Pace(rates={"a": 100.0})
    assert pace.uploads_per_s(arm()) == 100.0
    assert pace.uploads_per_s(arm(rate_per_s=7.0)) == 7.0
    two = part(arm(), arm("b", rate_per_s=50.0))
    assert pace.bytes_per_s(two, ["a", "b"]) == 75.0 * MIB
    assert pace.bytes_per_s(two, ["a", "a", "b", "a"]) == 87.5 * MIB, "turn by turn"
    assert pace.bytes_per_s(two, []) == 0.0
    pace.seen({"a": 120.0})
    pace.seen({"a": 90.0, "b": 10.0})
    assert pace.rates == {"a": 120.0, "b": 10.0}, "what was slower may have been a bad moment"


def test_a_rate_of_small_files_is_none_of_large_ones() -> None:
    large = arm(size_bytes=32 * MIB)
    pace = Pace(rates={"a": 100.0})
    assert pace.uploads_per_s(large) == MOST_BYTES_PER_S / (32 * MIB)
    pace.probed_s["direct-single", 32 * MIB] = 0.5
    assert pace.uploads_per_s(large) == 8.0


def test_nobody_uploads_nothing() -> None:
    assert Pace().uploads_per_s(arm().model_copy(update={"strategy": None})) == 0.0


def test_a_download_stores_nothing() -> None:
    down = arm("b").model_copy(update={"download": "proxied"})
    pace = Pace(rates={"a": 100.0, "b": 200.0})
    assert pace.uploads_per_s(down) == 200.0
    assert pace.bytes_per_s(part(arm(), down), ["a", "b"]) == 50.0 * MIB


def test_a_stretch_fits_its_disk_and_its_time() -> None:
    two, pace = part(arm(), arm("b")), Pace(rates={"a": 100.0, "b": 100.0})
    block_bytes = 100 * MIB * 4 * 3.0
    assert pace.blocks_at_once(two, 2.5 * block_bytes) == 2
    assert pace.blocks_at_once(two, 0.5 * block_bytes) == 1
    assert pace.blocks_at_once(two, 1e15) == STRETCH_LIMIT_S / 12.0
    assert pace.blocks_at_once(part(arm(), kind=PartKind.SIZES), 1e15) == 1
