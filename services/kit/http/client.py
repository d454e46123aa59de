"""Requests over a pool of kept-alive connections to one address: the protocol of both HTTP clients.

``thin`` is ours (``client_thin``), ``aiohttp`` its library twin (``client_aiohttp``). A target is sent as
it is, redirects are answers, nothing is added to the headers but ``Host`` and ``Content-Length``, and
nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol

from multidict import CIMultiDictProxy
from yarl import URL

CONNECT_S = 2.0
FULL_BYTES = 65_536


class UpstreamError(Exception):
    """Another service gave no answer."""


class UpstreamUnreachable(UpstreamError):
    """No connection: not one byte was sent."""


class UpstreamBroken(UpstreamError):
    """The connection ended, or nonsense came, after the request was (partly) sent."""


class UpstreamTimeout(UpstreamError):
    """No answer in time, or the other side stopped taking or giving bytes."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the requests of one client go, and how it keeps its connections.

    ``authority`` is the ``Host`` header. ``idle_s``, after which an unused connection is closed, stays
    below the server's own limit. ``opened`` is called for each new connection. ``refusals_end``: the
    server hangs up, unannounced, after refusing a request that had a body, as MinIO does.
    """

    host: str
    port: int
    tls: bool
    authority: str
    limit: int
    idle_s: float
    opened: Callable[[], None]
    refusals_end: bool

    @classmethod
    def of(
        cls,
        url: str,
        *,
        limit: int,
        idle_s: float,
        opened: Callable[[], None] = lambda: None,
        refusals_end: bool = False,
    ) -> Address:
        """Of an http(s) URL without path."""
        parsed = URL(url)
        tls = parsed.scheme == "https"
        port = parsed.port or (443 if tls else 80)
        return cls(
            host=parsed.host or "",
            port=port,
            tls=tls,
            authority=parsed.host_port_subcomponent or "",
            limit=limit,
            idle_s=idle_s,
            opened=opened,
            refusals_end=refusals_end,
        )


class Call(NamedTuple):
    """What is asked; ``target`` is path and query, already encoded."""

    method: str
    target: str
    headers: Mapping[str, str]


class Answer(Protocol):
    """An answer whose head is here. Read it to ``b""`` or ``close`` it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...

    @property
    def complete(self) -> bool:
        """Every byte of it came; reading does not wait."""

    async def read_some(self) -> bytes:
        """The next piece, ``b""`` at the end; above 64 KiB unread the other side has to wait.

        Raises:
            UpstreamBroken, UpstreamTimeout: the body ended too soon or stood still.
        """

    async def read(self) -> bytes:
        """The whole body; for answers that are known to be small."""

    def close(self) -> None:
        """Idempotent. A connection that is not clean is not used again."""


class Sending(Protocol):
    """A request whose body is written piece by piece."""

    @property
    def full(self) -> bool:
        """More than 64 KiB wait: await ``drained`` before the next write."""

    @property
    def answered(self) -> bool:
        """The other side answered or the connection broke: nothing more is sent."""

    def when_answered(self, call: Callable[[], None]) -> None:
        """Call this once, as soon as ``answered`` becomes true."""

    def write(self, data: bytes) -> None:
        """Never waits, never fails; bytes beyond the declared length are a ValueError."""

    async def drained(self, stall_s: float = inf) -> None:
        """Wait until enough was taken or the exchange is ``answered``; never fails."""

    async def answer(self, timeout_s: float, piece_s: float | None = None) -> Answer:
        """The head of the answer, ``timeout_s`` from now at the latest; see ``Client.send``."""

    def abort(self) -> None:
        """Break off: the other side sees a short body. Idempotent; nothing once the answer is complete."""


class Client(Protocol):
    """Closed by its owner, after which nothing is open."""

    async def send(
        self,
        call: Call,
        body: bytes = b"",
        *,
        timeout_s: float,
        piece_s: float | None = None,
        fresh: bool = False,
    ) -> Answer:
        """Send a request whose body is in memory; returns with the head of the answer.

        Args:
            timeout_s: from now to the head, waiting for a connection included.
            piece_s: how long each piece of the answer's body may take; None: ``timeout_s`` bounds the
                whole answer.
            fresh: on a new connection.

        Raises:
            UpstreamError: there was no answer.
        """

    async def open(self, call: Call, length: int, *, timeout_s: float) -> Sending:
        """Send the head of a request with a body of ``length`` bytes, which the caller writes.

        Args:
            timeout_s: for the connection.

        Raises:
            UpstreamError: there is no connection.
        """

    async def close(self) -> None: ...
