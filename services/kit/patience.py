"""A limit on how long a task may wait, without a timer for each wait."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from math import inf

AGAIN_S = 0.01  # a turn of the loop, in which what lies in a socket is read


class Ended(Enum):
    """Why a wait was broken off from here."""

    TOO_LATE = auto()
    NOT_NEEDED = auto()


class Patience:
    """Breaks off a wait of the task that made this one: after ``limit_s``, or when asked to.

    Around each wait: ``begin``, and ``end`` when it is over; on ``CancelledError`` ask ``broken_off``.
    A wait costs two looks at the clock: one timer runs at a time and looks itself when it fires. It looks
    twice: after a standstill of this process the loop calls timers before it reads what came meanwhile.
    ``waited_s`` is the length of all waits together.
    """

    __slots__ = ("_cause", "_limit_s", "_loop", "_since", "_suspect", "_task", "_timer", "waited_s")

    def __init__(self, limit_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be woken from its wait")
        self._task = task
        self._limit_s = limit_s
        self._since = inf
        self._suspect = -inf  # a wait that was found too long once
        self.waited_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._cause: Ended | None = None

    def begin(self) -> None:
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._since + self._limit_s, self._look)

    def end(self) -> None:
        self.waited_s += self._loop.time() - self._since
        self._since = inf

    def _look(self) -> None:
        if self._cause is not None:
            return
        now = self._loop.time()
        due_at = min(self._since, now) + self._limit_s
        if due_at > now:
            self._timer = self._loop.call_at(due_at, self._look)
        elif self._suspect < self._since:
            self._suspect = self._since
            self._timer = self._loop.call_at(now + AGAIN_S, self._look)
        else:
            self._break_off(Ended.TOO_LATE)

    def interrupt(self) -> None:
        """The wait that is under way, if there is one, is not needed any more."""
        if self._since < inf and self._cause is None:
            self._break_off(Ended.NOT_NEEDED)

    def _break_off(self, cause: Ended) -> None:
        self._cause = cause
        self._task.cancel()

    def broken_off(self) -> Ended | None:
        """Why the wait that was just cancelled was: None when it was cancelled by somebody else (too)."""
        if self._cause is not None and self._task.uncancel() == 0:
            return self._cause
        return None

    def close(self) -> None:
        self._since = inf
        if self._timer is not None:
            self._timer.cancel()
