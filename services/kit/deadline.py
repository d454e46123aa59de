"""How long the request at work may still take, as whoever sent it says.

The time begins with the end of the request's body: a slow client does not use it up. What is done for no
request, or outlives its own, has no deadline.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic

HEADER = "X-Request-Timeout-Ms"
ANSWER_S = 1.0
_MILLISECONDS = re.compile(r"[0-9]{1,9}")


class Deadline:
    """Of one request: ``limit_s`` from the call of ``start`` on."""

    __slots__ = ("_began", "_now", "limit_s")

    def __init__(self, limit_s: float, now: Callable[[], float] = monotonic) -> None:
        self.limit_s, self._now = limit_s, now
        self._began: float | None = None

    def start(self) -> None:
        """The body is complete; only the first call counts."""
        if self._began is None:
            self._began = self._now()

    def left_s(self) -> float:
        """Never below 0."""
        if self._began is None:
            return self.limit_s
        return max(0.0, self._began + self.limit_s - self._now())


DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def parse(text: str) -> Deadline | None:
    """Of the header's value; None for what is no number of milliseconds."""
    return Deadline(int(text) / 1000) if _MILLISECONDS.fullmatch(text) else None


def left_s(at_most: float) -> float:
    """So long may something still take that would take ``at_most`` by itself."""
    deadline = DEADLINE.get()
    return at_most if deadline is None else min(at_most, deadline.left_s())


def wait_s(at_most: float) -> float:
    """So long may be waited, so that there is time for an answer after it."""
    deadline = DEADLINE.get()
    if deadline is None:
        return at_most
    return max(0.0, min(at_most, deadline.left_s() - min(ANSWER_S, deadline.limit_s / 10)))


def none() -> None:
    """What follows in this task is done for no request."""
    DEADLINE.set(None)
