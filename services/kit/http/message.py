"""A request that came in and the answer that goes out, without a word about who carries them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl
from uuid import UUID

from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy

from services.kit.routing import Route
from services.kit.tokens import Caller

JSON = "application/json"
Handler = Callable[["Request"], Awaitable[None]]


class Stalled(ConnectionError):
    """The client took none of the answer's bytes for too long."""


class SourceStalled(ConnectionError):
    """Who makes the answer's bytes gave none for too long."""


class BodyIdleError(Exception):
    """The client sent nothing of its body for too long."""


class MalformedBody(Exception):
    """The body is not framed as its head says."""


class Content(Protocol):
    """A request's body as it arrives."""

    @property
    def total_bytes(self) -> int:
        """How much has arrived."""
        ...

    def is_eof(self) -> bool:
        """Whether the whole body has arrived, read or not."""
        ...

    def at_eof(self) -> bool:
        """Whether nothing is left to be read."""
        ...

    async def readany(self) -> bytes:
        """What has arrived and was not read yet, at least one byte; ``b""`` at the end.

        Raises:
            BodyIdleError: nothing came for the time limit of the server.
            MalformedBody: see there.
            ConnectionError: the client left.
        """
        ...


class Carrier(Protocol):
    """The connection a request came on."""

    async def respond(self, request: Request, response: Response) -> None:
        """Send an answer, once; ``request.sent_bytes`` counts its body.

        Raises:
            Stalled, SourceStalled, ConnectionError: the client did not get all of it.
            Exception: whatever the source of a streamed body raised.
        """
        ...

    def connected(self) -> bool: ...

    def abort(self) -> None:
        """End the connection at once, so that nobody takes a short answer for a whole one."""
        ...


@dataclass(slots=True, eq=False)
class Request:
    """One request. ``target`` is what stood in the request line; ``version`` is (1, 0) or (1, 1).

    From ``path_values`` on, the fields are for the process that serves it.
    """

    method: str
    target: str
    version: tuple[int, int]
    headers: CIMultiDictProxy[str]
    content: Content
    content_length: int | None
    peer: str
    carrier: Carrier
    path_values: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    route: Route | None = None
    caller: Caller | None = None
    response: Response | None = None  # once it has begun
    sent_bytes: int = 0
    _query: MultiDictProxy[str] | None = None

    @property
    def has_body(self) -> bool:
        """Whether there is, or may still come, a byte to read."""
        return not self.content.at_eof()

    @property
    def query(self) -> MultiDictProxy[str]:
        if self._query is None:
            _, _, text = self.target.partition("?")
            pairs = parse_qsl(text, keep_blank_values=True) if text else ()
            self._query = MultiDictProxy(MultiDict(pairs))
        return self._query

    @property
    def user_id(self) -> UUID | None:
        return self.caller.user_id if self.caller else None

    async def respond(self, response: Response) -> None:
        """See ``Carrier.respond``."""
        self.response = response
        await self.carrier.respond(self, response)


@dataclass(slots=True)
class Response:
    """An answer: ``body``, or a ``stream`` that is asked for pieces until it gives ``b""``.

    A stream whose length is known says so in the header ``Content-Length``. ``error`` is the stable code
    of a refusal, for log and metrics. ``close`` ends the connection after it.
    """

    status: int
    headers: Any = field(default_factory=dict)  # a mapping, also one with several values of a name
    body: bytes = b""
    stream: Callable[[], Awaitable[bytes]] | None = None
    error: str | None = None
    close: bool = False
