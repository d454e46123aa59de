"""Circuit breaker of one address: a side that fails is left alone, and tried carefully.

Closed: everything passes. It opens when of at least 10 requests in 10 s too many failed. Open: nothing
passes, until the time is over or somebody who asked ``/live`` says so (``end_open``). Half-open: up to five
requests at once try; one failure opens it again, five successes close it.

What began in an earlier state says nothing about the present one. A trial that takes longer than the window
gives its place up, so that a slow client cannot hold a recovered service back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from services.kit.client import UpstreamError
from services.kit.upstream.window import WINDOW_S, Window

LEAST_REQUESTS = 10
TRIALS = 5

CALLEE_SHARE = 0.5  # of failures, at which one service leaves another alone


class State(IntEnum):
    """The values are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpen(UpstreamError):
    """The request was not sent: the other side has failed too often. ``left_s``: until it may be tried."""

    def __init__(self, left_s: float) -> None:
        super().__init__("circuit open")
        self.left_s = left_s

    @property
    def retry_after_s(self) -> int:
        return max(1, math.ceil(self.left_s))


class Permit:
    """Of a request that may be sent; the guard hears with it how that went."""

    __slots__ = ("era",)

    def __init__(self, era: int) -> None:
        self.era = era


class Guard(Protocol):
    """Decides whether a request may be sent. Each ``admit`` is followed by one of the three ends."""

    probes: bool  # whether ``/live`` is asked while it is open

    @property
    def state(self) -> State: ...

    def watch(self, moved: Callable[[State], None]) -> None:
        """Call this at each change of the state."""

    def admit(self) -> Permit:
        """Raises ``CircuitOpen``."""

    def succeeded(self, permit: Permit) -> None: ...

    def failed(self, permit: Permit) -> None: ...

    def dropped(self, permit: Permit) -> None:
        """It ended through no doing of the other side."""

    def broke(self, permit: Permit) -> None:
        """What had succeeded failed after all, in the middle of its answer."""

    def end_open(self) -> None:
        """The other side was seen to live."""


class Unguarded:
    """``BREAKER=off``, and requests that do not count: everything passes."""

    probes = False
    state = State.CLOSED
    _permit = Permit(0)

    def watch(self, moved: Callable[[State], None]) -> None:
        """Nothing ever changes."""

    def admit(self) -> Permit:
        return self._permit

    def succeeded(self, permit: Permit) -> None:
        """Not counted."""

    failed = dropped = broke = succeeded

    def end_open(self) -> None:
        """It is never open."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``share`` of failures that opens; ``open_s`` until trials; ``probe``: ask ``/live`` meanwhile."""

    share: float = 0.6
    open_s: float = 30.0
    probe: bool = True


class Breaker:
    """See above."""

    def __init__(self, rules: Rules, now: Callable[[], float]) -> None:
        self._rules, self._now = rules, now
        self.probes = rules.probe
        self._state = State.CLOSED
        self._moved: Callable[[State], None] = lambda _: None
        self._permit = Permit(0)
        self._window = Window(now)
        self._open_until = 0.0
        self._trials: dict[Permit, float] = {}  # running, and when each began
        self._successes = 0

    @property
    def state(self) -> State:
        return self._state

    def watch(self, moved: Callable[[State], None]) -> None:
        self._moved = moved

    def admit(self) -> Permit:
        if self._state is State.CLOSED:
            return self._permit
        now = self._now()
        if self._state is State.OPEN:
            if now < self._open_until:
                raise CircuitOpen(self._open_until - now)
            self._move(State.HALF_OPEN)
        for permit, began in list(self._trials.items()):
            if began <= now - WINDOW_S:
                del self._trials[permit]
        if len(self._trials) + self._successes >= TRIALS:
            raise CircuitOpen(1.0)
        trial = Permit(self._permit.era)
        self._trials[trial] = now
        return trial

    def succeeded(self, permit: Permit) -> None:
        if permit.era != self._permit.era:
            return
        if self._state is State.CLOSED:
            self._window.add()
            return
        self._trials.pop(permit, None)
        self._successes += 1
        if self._successes >= TRIALS:
            self._move(State.CLOSED)

    def failed(self, permit: Permit) -> None:
        self._fail(permit, requests=1)

    def broke(self, permit: Permit) -> None:
        self._fail(permit, requests=0)

    def dropped(self, permit: Permit) -> None:
        self._trials.pop(permit, None)

    def end_open(self) -> None:
        if self._state is State.OPEN:
            self._move(State.HALF_OPEN)

    def _fail(self, permit: Permit, requests: int) -> None:
        if permit.era != self._permit.era:
            return
        if self._state is State.HALF_OPEN:
            self._move(State.OPEN)
            return
        window = self._window
        window.add(requests, 1)
        if window.requests >= LEAST_REQUESTS and window.marked / window.requests >= self._rules.share:
            self._move(State.OPEN)

    def _move(self, state: State) -> None:
        self._state = state
        self._permit = Permit(self._permit.era + 1)
        self._trials.clear()
        self._successes = 0
        if state is State.OPEN:
            self._open_until = self._now() + self._rules.open_s
        elif state is State.CLOSED:
            self._window = Window(self._now)
        self._moved(state)


Guards = Callable[[], Guard]


def guards(on: bool, rules: Rules, now: Callable[[], float]) -> Guards:
    """``BREAKER``: what makes the guard of each address."""
    return (lambda: Breaker(rules, now)) if on else Unguarded
