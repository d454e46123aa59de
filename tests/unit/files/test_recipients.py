"""Whom a file can be shared with, and which shares that adds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.files.model import Permission, Recipient, Share
from services.files.recipients import recipients
from services.files.shares import MAX_SHARES, added
from services.kit.codec import Members
from services.kit.errors import Fault

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, tzinfo=UTC)
VIEWER, EDITOR = Permission.VIEWER, Permission.EDITOR
PEOPLE = st.dictionaries(
    st.integers(0, 150).map(lambda number: UUID(int=number)), st.sampled_from([VIEWER, EDITOR])
)


def shares(people: Mapping[UUID, Permission]) -> dict[UUID, Share]:
    return {user: Share(user, str(user), permission, NOW) for user, permission in people.items()}


def wanted(people: Mapping[UUID, Permission]) -> dict[UUID, Recipient]:
    return {user: Recipient(str(user), permission) for user, permission in people.items()}


@given(PEOPLE, PEOPLE)
def test_all_or_none_are_added(before: dict[UUID, Permission], asked: dict[UUID, Permission]) -> None:
    other = [str(user) for user in asked if user in before and before[user] is not asked[user]]
    new = {user for user in asked if user not in before}
    try:
        result = added(shares(before), wanted(asked))
    except Fault as fault:
        if other:
            assert (fault.code, fault.details) == ("already_shared", {"emails": other})
        else:
            assert fault.code == "share_limit"
            assert len(before) + len(new) > MAX_SHARES
    else:
        assert not other
        assert len(before) + len(new) <= MAX_SHARES
        assert result == {user: recipient for user, recipient in wanted(asked).items() if user in new}


@pytest.mark.parametrize(
    ("count", "more", "fits"), [(99, 1, True), (100, 0, True), (100, 1, False), (96, 5, False)]
)
def test_the_hundredth_share_is_the_last(count: int, more: int, fits: bool) -> None:
    before = {UUID(int=number): VIEWER for number in range(count)}
    asked = {UUID(int=1_000 + number): VIEWER for number in range(more)}
    if fits:
        assert len(added(shares(before), wanted(asked))) == more
    else:
        with pytest.raises(Fault, match="share_limit"):
            added(shares(before), wanted(asked))


def parsed(*given: Any) -> list[Recipient]:
    return recipients(Members({"recipients": list(given)}, known=None))


def test_emails_take_the_form_that_accounts_have() -> None:
    assert parsed({"email": "\u2003Ärger@X.DE ", "permission": "editor"}) == [Recipient("ärger@x.de", EDITOR)]


def test_one_of_each_email() -> None:
    with pytest.raises(Fault, match="invalid_recipients"):
        parsed({"email": "a@b", "permission": "editor"}, {"email": "A@b", "permission": "viewer"})
