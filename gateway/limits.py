"""Rate limits: a fixed window of one clock minute per address and per user."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Protocol

from gateway.context import RequestContext
from gateway.settings import DEFAULT_TIER, Network
from services.kit.errors import Fault
from services.kit.metrics import Counters

WINDOW_S = 60
NO_TIER = "none"


class Counts(Protocol):
    """Where requests are counted."""

    def hit(self, key: str, limit: int) -> int:
        """Count one request: 0 when it passes, else the whole seconds until the window ends (>= 1)."""
        ...


class MemoryCounts:
    """Counts of this process; they end with the window, so memory is bounded by one minute's keys."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._window = 0
        self._counts: dict[str, int] = {}

    def hit(self, key: str, limit: int) -> int:
        now = self._now()
        window = int(now // WINDOW_S)
        if window != self._window:
            self._window, self._counts = window, {}
        count = self._counts.get(key, 0)
        if count >= limit:
            return max(1, math.ceil((window + 1) * WINDOW_S - now))
        self._counts[key] = count + 1
        return 0


class NoCounts:
    """Lets everything pass (``RATE_LIMIT=off``)."""

    def hit(self, key: str, limit: int) -> int:
        return 0


class RateLimits:
    """The two rate-limit steps; ``refused`` counts by scope and tier."""

    def __init__(self, counts: Counts, per_ip: int, tiers: Mapping[str, int], refused: Counters) -> None:
        self._counts = counts
        self._per_ip = per_ip
        self._tiers = tiers
        self._refused = refused

    def per_ip(self, context: RequestContext) -> None:
        self._check(f"ip {context.client}", self._per_ip, "ip", NO_TIER)

    def per_user(self, context: RequestContext) -> None:
        if context.user_id is not None:
            tier = context.tier if context.tier in self._tiers else DEFAULT_TIER
            self._check(f"user {context.user_id}", self._tiers[tier], "user", tier)

    def _check(self, key: str, limit: int, scope: str, tier: str) -> None:
        wait_s = self._counts.hit(key, limit)
        if wait_s:
            self._refused(scope, tier).inc()
            raise Fault(
                "rate_limited",
                "Too many requests in this minute. Please wait.",
                headers={"Retry-After": str(wait_s)},
            )


class Proxies:
    """Which peers are believed when they say for whom they ask."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The peer, or the right-most address of ``X-Forwarded-For`` that no trusted proxy has."""
        if not self._trusted or not forwarded_for or not self.trusted(peer):
            return peer
        client = peer
        for address in reversed([item.strip() for line in forwarded_for for item in line.split(",")]):
            client = address
            if not self.trusted(address):
                break
        return client
