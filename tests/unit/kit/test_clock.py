"""Ids of requests: made in bulk, yet what they would be one by one."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest

from services.kit.clock import RequestIds

pytestmark = pytest.mark.unit


def test_request_ids_are_random_uuids_and_never_repeat() -> None:
    ids = RequestIds()
    made = [ids() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    for text in made:
        assert str(UUID(text)) == text
        assert (UUID(text).version, UUID(text).variant) == (4, RFC_4122)
    assert {text[19] for text in made} == set("89ab")
