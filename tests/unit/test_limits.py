"""A test that waits for ever is ended, and its brothers are not touched."""

from __future__ import annotations

import asyncio

import pytest

from tests.limits import ended_after

pytestmark = pytest.mark.unit


async def test_what_waits_for_ever_is_ended() -> None:
    async def waits(_: str) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await ended_after(waits, 0.01)("given")


async def test_what_ends_by_itself_gets_what_it_was_given_and_fails_as_it_would() -> None:
    got = []

    async def fails(first: str, *, second: int) -> None:
        got.append((first, second))
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await ended_after(fails, 60)("a", second=2)
    assert got == [("a", 2)]


def test_this_suite_keeps_to_it(request: pytest.FixtureRequest) -> None:
    (item,) = [one for one in request.session.items if "test_what_waits_for_ever" in one.name]
    assert isinstance(item, pytest.Function)
    assert hasattr(item.obj, "__wrapped__")
