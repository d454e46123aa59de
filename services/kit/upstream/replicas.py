"""The replicas of one service, used as if they were one.

The one with the fewest running exchanges gets the next. Whether a replica may be asked at all is up to its
breaker. A replica that cannot be connected to, or whose answer says that it is about to leave, goes to the
end of the row for a moment; that is only an order, it forbids nothing. Nothing was sent where a breaker
refused or no connection was made, so such a request goes on to the next replica; a body that was (partly)
sent is never sent again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import TypeVar

from multidict import CIMultiDict

from services.kit.client import UpstreamError, UpstreamUnreachable
from services.kit.upstream.breaker import CircuitOpen
from services.kit.upstream.exchange import STALL_S, Body, Incoming, Reply
from services.kit.upstream.upstream import Upstream

A = TypeVar("A", Incoming, Reply)
REST_S = 2.0  # longer than a leaving process serves the connections that it has (DRAIN_S)


class _Replica:
    """One address; ``rests_until`` is 0 while it is well, ``turn`` grows with each request to it."""

    __slots__ = ("rests_until", "turn", "upstream")

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.rests_until = 0.0
        self.turn = 0


class Balanced:
    """Several addresses with the methods of one ``Upstream``."""

    def __init__(self, upstreams: Sequence[Upstream], now: Callable[[], float] = monotonic) -> None:
        self._replicas = [_Replica(upstream) for upstream in upstreams]
        self._now = now
        self._turns = 0

    async def open(
        self,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        body: bytes | Body = b"",
        *,
        timeout_s: float,
        stall_s: float = STALL_S,
        counted: bool = True,
    ) -> Incoming:
        """As ``Upstream.open``; raises ``UpstreamUnreachable`` only when no replica can be connected to,
        and ``CircuitOpen`` when every breaker refuses."""
        return await self._first(
            lambda upstream: upstream.open(
                method, target, headers, body, timeout_s=timeout_s, stall_s=stall_s, counted=counted
            )
        )

    async def json(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """As ``Upstream.json``, with a time limit for each replica that is tried."""
        return await self._first(lambda upstream: upstream.json(method, path, body, headers, timeout_s))

    async def _first(self, ask: Callable[[Upstream], Awaitable[A]]) -> A:
        error: UpstreamError | None = None
        for replica in self._order():
            self._begin(replica)
            try:
                answer = await ask(replica.upstream)
            except CircuitOpen as refused:
                error = _sooner(error, refused)
                continue
            except UpstreamUnreachable as refused:
                self._rest(replica)
                error = refused
                continue
            self._note(replica, answer.status, answer.headers)
            return answer
        raise error or UpstreamUnreachable("no replica")

    def _order(self) -> list[_Replica]:
        """The best first: well, then few exchanges, then not asked for long."""
        now = self._now()
        return sorted(self._replicas, key=lambda one: (one.rests_until > now, one.upstream.running, one.turn))

    def _begin(self, replica: _Replica) -> None:
        """Who asks a replica that was away keeps the others off until it is answered."""
        self._turns += 1
        replica.turn = self._turns
        if replica.rests_until:
            self._rest(replica)

    def _rest(self, replica: _Replica) -> None:
        replica.rests_until = self._now() + REST_S

    def _note(self, replica: _Replica, status: int, headers: Mapping[str, str]) -> None:
        # A refusal may end its connection because of what the client sends; only a good answer that does
        # so says that the replica leaves.
        if headers.get("Connection", "").lower() != "close":
            replica.rests_until = 0.0
        elif status < 400:
            self._rest(replica)


def _sooner(error: UpstreamError | None, refused: CircuitOpen) -> UpstreamError:
    """What the caller hears of several refusals: that nobody listens, else the shortest time to wait."""
    if error is None or (isinstance(error, CircuitOpen) and refused.left_s < error.left_s):
        return refused
    return error


def balanced(upstreams: Sequence[Upstream]) -> Upstream | Balanced:
    """One thing to send to: a single address needs no balancing and pays for none."""
    return upstreams[0] if len(upstreams) == 1 else Balanced(upstreams)


async def live(upstreams: Sequence[Upstream], timeout_s: float) -> int:
    """How many replicas answer ``/live``; all are asked at once."""
    return sum(await asyncio.gather(*(upstream.alive(timeout_s) for upstream in upstreams)))
