"""Route tables as data: what a process serves, readable by whoever needs to know it.

The table of a service is used by the service itself (handlers are bound by ``name``), by the gateway
(prefix, token rule, deadline) and by the tests of the documentation. It imports no handler.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Token(StrEnum):
    """What the gateway asks of the client."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"  # an Authorization header is ignored


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path template.

    ``deadline_s`` is the time from the end of the request body to the response head. ``body`` says
    what the gateway may expect: ``none``, ``json`` (small), ``raw`` (streamed, needs a length) or ``form``
    (streamed, with or without a length: the service judges).
    With ``rest`` the last parameter takes the whole rest of the path, slashes included, as it was sent.
    ``internal`` routes are never forwarded. ``health`` routes pass the breaker and need no credential.
    """

    method: str
    template: str
    name: str
    token: Token = Token.REQUIRED
    deadline_s: float = 30.0
    body: str = "none"
    internal: bool = False
    rest: bool = False
    health: bool = False


def health_routes() -> tuple[Route, ...]:
    """The routes every process has: no token, no credential, not counted by breakers."""
    return tuple(
        Route("GET", path, name, token=Token.NONE, health=True)
        for path, name in (
            ("/health", "health"),
            ("/live", "live"),
            ("/ready", "ready"),
            ("/health/detailed", "health_detailed"),
            ("/ping", "ping"),
        )
    )
