"""The replicas of one service, used as if they were one.

The one with the fewest running exchanges gets the next. A replica that cannot be connected to, or whose
answer says that it is about to leave, rests: it is asked only where there is no other, until one request
may try it again. Nothing was sent over a connection that was not made, so such a request goes on to the
next replica; a body that was (partly) sent is never sent again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from multidict import CIMultiDict

from services.kit.client import UpstreamError, UpstreamUnreachable
from services.kit.upstream.exchange import STALL_S, Body, Incoming, Reply
from services.kit.upstream.upstream import Upstream

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
    ) -> Incoming:
        """As ``Upstream.open``; raises ``UpstreamUnreachable`` only when no replica can be connected to."""
        error = UpstreamUnreachable("no replica")
        for replica in self._order():
            trial = self._begin(replica)
            try:
                incoming = await replica.upstream.open(
                    method, target, headers, body, timeout_s=timeout_s, stall_s=stall_s
                )
            except UpstreamUnreachable as refused:
                self._rest(replica)
                error = refused
                continue
            self._note(replica, incoming.status, incoming.headers, trial=trial)
            return incoming
        raise error

    async def json(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """As ``Upstream.json``, with a time limit for each replica that is tried."""
        error = UpstreamUnreachable("no replica")
        for replica in self._order():
            trial = self._begin(replica)
            try:
                reply = await replica.upstream.json(method, path, body, headers, timeout_s)
            except UpstreamUnreachable as refused:
                self._rest(replica)
                error = refused
                continue
            self._note(replica, reply.status, reply.headers, trial=trial)
            return reply
        raise error

    def _order(self) -> list[_Replica]:
        """The best first: well, then few exchanges, then not asked for long."""
        now = self._now()
        return sorted(self._replicas, key=lambda one: (one.rests_until > now, one.upstream.running, one.turn))

    def _begin(self, replica: _Replica) -> bool:
        """Whether this request tries a replica that was away; the others keep off until it is answered."""
        self._turns += 1
        replica.turn = self._turns
        if not replica.rests_until:
            return False
        self._rest(replica)
        return True

    def _rest(self, replica: _Replica) -> None:
        replica.rests_until = self._now() + REST_S

    def _note(self, replica: _Replica, status: int, headers: Mapping[str, str], *, trial: bool) -> None:
        # A refusal may end its connection because of what the client sends; only a good answer that does
        # so says that the replica leaves.
        if status < 400 and headers.get("Connection", "").lower() == "close":
            self._rest(replica)
        elif trial:
            replica.rests_until = 0.0


def balanced(upstreams: Sequence[Upstream]) -> Upstream | Balanced:
    """One thing to send to: a single address needs no balancing and pays for none."""
    return upstreams[0] if len(upstreams) == 1 else Balanced(upstreams)


async def live(upstreams: Sequence[Upstream], timeout_s: float) -> int:
    """How many replicas answer ``/live``; all are asked at once."""

    async def alive(upstream: Upstream) -> bool:
        try:
            return (await upstream.json("GET", "/live", b"", {}, timeout_s)).status == 200
        except UpstreamError:
            return False

    return sum(await asyncio.gather(*map(alive, upstreams)))
