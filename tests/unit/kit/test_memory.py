"""The soft limit: memory is given back near it, and only then."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from services.kit.memory import GC_THRESHOLDS, MIB, SoftLimit, give_back, rss_bytes

pytestmark = pytest.mark.unit


class Told:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))


class Heap:
    """A process that can give back half of its memory."""

    def __init__(self, mib: float) -> None:
        self.bytes = int(mib * MIB)

    def rss(self) -> int:
        return self.bytes

    def release(self) -> None:
        self.bytes //= 2


@pytest.mark.parametrize(("mib", "released"), [(79.9, False), (80.0, True), (500.0, True)])
def test_memory_is_given_back_from_eighty_percent_on(mib: float, released: bool) -> None:
    log, heap = Told(), Heap(mib)
    limit = SoftLimit(100, log, rss=heap.rss, release=heap.release)  # type: ignore[arg-type]
    assert limit.look() is released
    before, after = int(mib * MIB), int(mib * MIB) // 2
    assert heap.bytes == (after if released else before)
    told = [("memory given back", {"before_bytes": before, "after_bytes": after})]
    assert log.events == (told if released else [])


def test_freed_memory_leaves_the_process() -> None:
    blocks: list[bytes] | None = [
        bytes(1000) for _ in range(60_000)
    ]  # small ones: the heap keeps their pages
    full = rss_bytes()
    del blocks
    give_back()
    assert rss_bytes() < full - 20 * MIB


def test_each_profile_collects_more_often_than_the_one_before() -> None:
    assert GC_THRESHOLDS["tight"] < GC_THRESHOLDS["medium"] < gc.get_threshold()
