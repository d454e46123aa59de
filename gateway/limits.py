"""Rate limits: a fixed window of one clock minute per address and per user."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, Protocol

from gateway.context import RequestContext
from gateway.settings import DEFAULT_TIER, Network
from services.kit.errors import Fault
from services.kit.metrics import Counters

Address = IPv4Address | IPv6Address
WINDOW_S = 60
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+):)(?(v6)(?::[0-9]{1,5})?|[0-9]{1,5})")
NO_TIER = "none"


class Claim(NamedTuple):
    """One request under one key, of which so many may pass in a window."""

    key: str
    limit: int


class Counts(Protocol):
    """Where requests are counted."""

    async def hit(self, address: Claim, user: Claim | None) -> tuple[int, int]:
        """Count one request under both keys, the user's only if the address may pass.

        For each 0 when it passes, else the whole seconds until the window ends (>= 1).
        """
        ...


class MemoryCounts:
    """Counts of this process; they end with the window, so memory is bounded by one minute's keys."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._window = 0
        self._counts: dict[str, int] = {}

    async def hit(self, address: Claim, user: Claim | None) -> tuple[int, int]:
        now = self._now()
        window = int(now // WINDOW_S)
        if window != self._window:
            self._window, self._counts = window, {}
        wait_s = max(1, math.ceil((window + 1) * WINDOW_S - now))
        if not self._passes(address):
            return wait_s, 0
        return 0, 0 if user is None or self._passes(user) else wait_s

    def _passes(self, claim: Claim) -> bool:
        count = self._counts.get(claim.key, 0)
        if count >= claim.limit:
            return False
        self._counts[claim.key] = count + 1
        return True


class NoCounts:
    """Lets everything pass (``RATE_LIMIT=off``)."""

    async def hit(self, address: Claim, user: Claim | None) -> tuple[int, int]:
        return 0, 0


class RateLimits:
    """Both limits of a request, in one step; ``refused`` counts by scope and tier."""

    def __init__(self, counts: Counts, per_ip: int, tiers: Mapping[str, int], refused: Counters) -> None:
        self._counts = counts
        self._per_ip = per_ip
        self._tiers = tiers
        self._refused = refused

    async def check(self, context: RequestContext) -> None:
        """Count the request; what its user's limit says is kept in ``context`` for its turn.

        Raises:
            Fault: ``rate_limited``, when the address has used up its minute.
        """
        user, tier = None, NO_TIER
        if context.user_id is not None:
            tier = context.tier if context.tier in self._tiers else DEFAULT_TIER
            user = Claim(f"user {context.user_id}", self._tiers[tier])
        address_s, user_s = await self._counts.hit(Claim(f"ip {context.client}", self._per_ip), user)
        if address_s:
            raise self._fault("ip", NO_TIER, address_s)
        if user_s:
            context.refusal = self._fault("user", tier, user_s)

    def _fault(self, scope: str, tier: str, wait_s: int) -> Fault:
        self._refused(scope, tier).inc()
        return Fault(
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
