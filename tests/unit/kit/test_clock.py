"""Ids of requests and stamps of log lines: made in bulk, yet what they would be one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from services.kit.clock import RequestIds
from services.kit.log import Stamps

pytestmark = pytest.mark.unit


def test_request_ids_are_random_uuids_and_never_repeat() -> None:
    ids = RequestIds()
    made = [ids() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    for text in made:
        assert str(UUID(text)) == text
        assert (UUID(text).version, UUID(text).variant) == (4, RFC_4122)
    assert {text[19] for text in made} == set("89ab")


def test_stamps_are_the_time_and_do_not_go_back() -> None:
    stamps = Stamps()
    before = datetime.now(UTC)
    made = [stamps() for _ in range(1_000)]
    after = datetime.now(UTC)
    assert made == sorted(made)
    read = [datetime.fromisoformat(text) for text in (made[0], made[-1])]
    assert before - timedelta(milliseconds=1) <= read[0] <= read[1] <= after + timedelta(milliseconds=1)
    assert all(text.endswith("Z") and len(text) == 27 for text in made)
