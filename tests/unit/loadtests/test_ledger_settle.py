"""Settling: how long the audit waits, and what it then calls moving. On a clock that only the test moves."""

from collections.abc import Callable
from uuid import UUID

import pytest

from loadtests.harness.ledger.settle import OpenUpload, Settled, settle

pytestmark = pytest.mark.unit

A, B = UUID(int=1), UUID(int=2)
Look = Callable[[float], list[OpenUpload]]


async def run(look: Look, limit_s: float = 30.0) -> Settled:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    async def looked() -> list[OpenUpload]:
        return look(now[0])

    return await settle(looked, limit_s=limit_s, clock=lambda: now[0], sleep=sleep)


def open_upload(upload: UUID, state: object, driven: bool = True) -> OpenUpload:
    return OpenUpload(upload, driven, (state,))


async def test_ends_at_once_when_nothing_is_open() -> None:
    assert await run(lambda now: []) == Settled(0.0, cut=False)


async def test_waits_for_the_last_to_end() -> None:
    result = await run(lambda now: [] if now >= 7 else [open_upload(A, now)])
    assert (result.cut, result.progressing, result.waited_s) == (False, frozenset(), 7.0)


async def test_ten_seconds_without_progress_is_rest() -> None:
    result = await run(lambda now: [open_upload(A, min(now, 3.0))])
    assert (result.cut, result.waited_s) == (False, 13.0)
    assert result.progressing == frozenset()


async def test_an_abandoned_upload_is_not_waited_for_as_long() -> None:
    result = await run(lambda now: [open_upload(A, 0, driven=False)])
    assert (result.cut, result.waited_s) == (False, 2.0)


async def test_the_end_of_another_upload_is_progress() -> None:
    rest = [open_upload(A, 0)]
    result = await run(lambda now: rest if now >= 5 else [*rest, open_upload(B, 0)])
    assert result.waited_s == 15.0


async def test_at_the_limit_only_what_moved_is_progressing() -> None:
    result = await run(lambda now: [open_upload(A, now), open_upload(B, 0)], limit_s=12.0)
    assert (result.cut, result.progressing) == (True, frozenset({A}))
