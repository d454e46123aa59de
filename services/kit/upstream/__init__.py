"""Other services, as clients of theirs see them: addresses, replicas, failures."""

from services.kit.upstream.breaker import CALLEE_SHARE, CircuitOpen, Guard, Guards, Rules, State, guards
from services.kit.upstream.exchange import Body, Incoming, Reply, Source
from services.kit.upstream.replicas import Balanced, balanced, live
from services.kit.upstream.upstream import Upstream

__all__ = [
    "CALLEE_SHARE",
    "Balanced",
    "Body",
    "CircuitOpen",
    "Guard",
    "Guards",
    "Incoming",
    "Reply",
    "Rules",
    "Source",
    "State",
    "Upstream",
    "balanced",
    "guards",
    "live",
]
