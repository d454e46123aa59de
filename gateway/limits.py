"""Rate limits: a fixed window of one clock minute per address and per user."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from gateway.exchange import Exchange
from gateway.settings import DEFAULT_TIER, Network
from services.kit.errors import Fault
from services.kit.metrics import Counters

Address = IPv4Address | IPv6Address
WINDOW_S = 60
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+):)(?(v6)(?::[0-9]{1,5})?|[0-9]{1,5})")
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

    def per_ip(self, exchange: Exchange) -> None:
        self._check(f"ip {exchange.client}", self._per_ip, "ip", NO_TIER)

    def per_user(self, exchange: Exchange) -> None:
        if exchange.user_id is not None:
            tier = exchange.tier if exchange.tier in self._tiers else DEFAULT_TIER
            self._check(f"user {exchange.user_id}", self._tiers[tier], "user", tier)

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

    def trusted(self, peer: str) -> bool:
        return bool(self._trusted) and self._trusts(address_of(peer))

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """Who asks: the peer, or the right-most address of ``X-Forwarded-For`` that no trusted proxy has.

        Only proxies write entries that count, so an entry that is no address is nobody's: then it is the
        proxy that sent it who asks.
        """
        address = address_of(peer)
        if address is None:
            return peer
        if forwarded_for and self._trusts(address):
            for entry in reversed([item for line in forwarded_for for item in line.split(",")]):
                before = address_of(entry)
                if before is None:
                    break
                address = before
                if not self._trusts(address):
                    break
        return str(address)


def address_of(text: str) -> Address | None:
    """The address in an entry like ``1.2.3.4``, ``1.2.3.4:80``, ``::1`` or ``[::1]:80``, else None.

    An IPv4 address in IPv6 form is that IPv4 address, and a zone is no part of an address.
    """
    text = text.strip()
    host = _WITH_PORT.fullmatch(text)
    if host is not None:
        text = host["v6"] or host["v4"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
