"""An end for tests that wait for ever."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any

import pytest

SPARE_S = 5.0  # behind pytest-timeout, whose report comes first


def keep(items: Iterable[pytest.Item]) -> None:
    """Let every asynchronous test end soon after its limit."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = ended_after(item.obj, limit_s(item) + SPARE_S)


def limit_s(item: pytest.Item) -> float:
    """What pytest-timeout gives a test."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout"))


def ended_after(test: Callable[..., Awaitable[None]], limit_s: float) -> Callable[..., Awaitable[None]]:
    """The test with an end of its own. What pytest-timeout raises comes up inside the event loop, which only
    reports it and waits on: the test would be called failed whenever it ended, or never."""

    @wraps(test)
    async def bounded(*given: Any, **named: Any) -> None:
        async with asyncio.timeout(limit_s):
            await test(*given, **named)

    return bounded
