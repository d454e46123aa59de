"""Counting over the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

WINDOW_S = 10


class Window:
    """Requests of the last 10 s, and how many of them are marked, second by second."""

    __slots__ = ("_now", "_seconds", "marked", "requests")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seconds: deque[list[int]] = deque()  # [second, requests, marked]
        self.requests = self.marked = 0

    def add(self, requests: int = 1, marked: int = 0) -> None:
        """Count now; with zeros only what is too old is forgotten."""
        second, seconds = int(self._now()), self._seconds
        if not seconds or seconds[-1][0] != second:
            seconds.append([second, 0, 0])
            while seconds[0][0] <= second - WINDOW_S:
                _, old, old_marked = seconds.popleft()
                self.requests -= old
                self.marked -= old_marked
        latest = seconds[-1]
        latest[1] += requests
        latest[2] += marked
        self.requests += requests
        self.marked += marked
