"""What passes through the steps: one request on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy

from gateway.connection import has_left
from services.kit.errors import Fault
from services.kit.trail import Trail


@dataclass(slots=True)
class RequestContext:
    """A request and what the steps found out about it.

    ``peer`` is the address that the connection comes from, ``client`` the one that asks, which a trusted
    proxy may name; ``path`` and ``query`` are what will be forwarded. ``refusal`` is why it may not pass, for
    a step whose turn has not come. ``body`` is a small one, which is here before a place is asked for; one
    that is still to come counts as ``sender``'s. While ``admitted`` it holds a place of admission control.
    """

    request: web.BaseRequest
    trail: Trail
    peer: str
    client: str
    path: str = ""
    query: str = ""
    user_id: str | None = None
    tier: str = ""
    refusal: Fault | None = None
    cors: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    sender: str | None = None
    admitted: bool = False

    @property
    def method(self) -> str:
        return self.request.method

    def gone(self) -> bool:
        """Whether the client has left."""
        return has_left(self.request)

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return self.request.headers


CONTEXT = web.RequestKey("CONTEXT", RequestContext)
