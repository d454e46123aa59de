"""A store whose clock is off is a warning, not a failure."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from services.kit.s3.store_clock import ahead_s, clock_note

pytestmark = pytest.mark.unit
NOW = 1_780_000_000.0


@pytest.mark.parametrize("off", [-3_600, -61, 0, 60, 900])
def test_the_date_header_tells(off: int) -> None:
    assert ahead_s(formatdate(NOW + off, usegmt=True), NOW) == off


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_a_store_that_does_not_tell_is_not_suspected(date: str | None) -> None:
    assert ahead_s(date, NOW) == 0.0


@pytest.mark.parametrize(
    ("ahead", "note"),
    [
        (60.0, None),
        (-60.0, None),
        (61.0, "warning: the store's clock is 61 s ahead of ours"),
        (-900.4, "warning: the store's clock is 900 s behind ours"),
    ],
)
def test_more_than_a_minute_is_worth_a_note(ahead: float, note: str | None) -> None:
    assert clock_note(ahead) == note
