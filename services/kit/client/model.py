"""Where requests go, what one asks, and how it can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from yarl import URL

CONNECT_S = 2.0
FULL_BYTES = 65_536  # unsent or unread bytes above which the one who makes more has to wait


class UpstreamError(Exception):
    """Another service gave no answer."""


class UpstreamUnreachable(UpstreamError):
    """No connection: not one byte was sent."""


class UpstreamBroken(UpstreamError):
    """The connection ended, or nonsense came, after the request was (partly) sent.

    ``silent``: not one byte of an answer had come.
    """

    def __init__(self, why: str = "", *, silent: bool = False) -> None:
        super().__init__(why)
        self.silent = silent


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
