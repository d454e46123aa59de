"""Where a chunk goes, and what is refused before its body is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upload.model import MAX_PARTS, State
from services.upload.placement import (
    Place,
    Placement,
    is_repeat,
    may_be_part,
    part_number,
)
from tests.unit.upload.support import MIB, opened, send

pytestmark = pytest.mark.unit

HASH = "a" * 64


@pytest.mark.parametrize(
    ("index", "size", "checksum", "facts", "place"),
    [
        (0, 12 * MIB, HASH, {}, Place.FINAL),
        (0, 12 * MIB, None, {}, Place.TEMPORARY),
        (0, 12 * MIB, HASH, {"final_key_taken": True}, Place.TEMPORARY),
        (0, 5 * MIB, HASH, {"slot": 0}, Place.PART),
        (0, 5 * MIB, HASH, {"slot": 3331}, Place.PART),
        (0, 5 * MIB, HASH, {"slot": 3332}, Place.TEMPORARY),
        (1, 100, HASH, {"slot": None}, Place.TEMPORARY),
        (1, 0, None, {}, Place.NOWHERE),
        (1, 100, HASH, {"stored": 100, "checksum": HASH}, Place.NOWHERE),
        (1, 100, None, {"stored": 100, "checksum": HASH}, Place.TEMPORARY),
        (1, 99, HASH, {"stored": 100, "checksum": HASH}, Place.TEMPORARY),
        (0, 12 * MIB, HASH, {"status": State.ASSEMBLING}, Place.NOWHERE),
    ],
)
def test_places(index: int, size: int, checksum: str | None, facts: dict[str, Any], place: Place) -> None:
    assert Placement(direct_final=True).place(send(index, size, checksum), opened(**facts)) is place


def test_a_store_that_checks_nothing_gets_no_final_object() -> None:
    placement = Placement(direct_final=False)
    assert placement.place(send(0, 12 * MIB, HASH), opened()) is Place.TEMPORARY


@given(st.integers(1, 5000), st.data())
def test_part_numbers_never_meet(total: int, data: st.DataObject) -> None:
    """Two indexes or two slots never share a number, none is the tail's, all ascend with the index."""
    taken = st.tuples(st.integers(0, total - 1), st.integers(0, MAX_PARTS))
    one, other = data.draw(taken), data.draw(taken)
    numbers = [part_number(send(i, 1), opened(slot=slot, total_chunks=total)) for i, slot in (one, other)]
    for number in numbers:
        assert number is None or 1 <= number < MAX_PARTS
    if None not in numbers:
        first, second = (number or 0 for number in numbers)
        assert (first < second) == (one < other)


def test_a_slot_is_asked_for_only_by_what_can_be_a_part() -> None:
    assert not may_be_part(send(0, MIB))
    assert not may_be_part(send(3, 0))
    assert may_be_part(send(0, 5 * MIB))
    assert may_be_part(send(1, 1))


def test_bytes_that_need_not_be_stored() -> None:
    assert is_repeat(send(0, 5, HASH), opened(stored=5, checksum=HASH))
    assert not is_repeat(send(0, 5, HASH), opened(stored=5, checksum="b" * 64))
    assert is_repeat(send(0, 5), opened(status=State.FAILED))
