"""The parts of one exchange with another service: a body that is passed on, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from multidict import CIMultiDictProxy

from services.kit.client import Exchange, UpstreamError, UpstreamTimeout
from services.kit.errors import ERROR_CODE, NO_FAILURES
from services.kit.upstream.breaker import Guard, Permit

STALL_S = 30.0
FAILURES = frozenset({500, 502, 503, 504})


class Source(Protocol):
    """Where a streamed body comes from."""

    async def read(self) -> bytes:
        """The next piece, ``b""`` at the end."""

    def interrupt(self) -> None:
        """A ``read`` that waits returns ``b""`` at once."""

    def close(self) -> None:
        """Nothing more is read."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body that is not in memory, and its length in bytes; None when only its end will tell."""

    source: Source
    length: int | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


async def pump(body: Body, exchange: Exchange, stall_s: float) -> None:
    """Send a body; returns at its end, or as soon as the other side answers before it.

    Raises:
        UpstreamTimeout: the other side takes no bytes.
        ConnectionResetError: the body ended before its length.
        Exception: whatever the source raised.
    """
    source, left = body.source, body.length
    exchange.when_answered(source.interrupt)
    while (left is None or left > 0) and not exchange.answered:
        piece = await source.read()
        if not piece:
            break
        if left is not None:
            left -= len(piece)
        exchange.write(piece)
        del piece
        if exchange.full:
            await exchange.drained(stall_s)
    if left is None:
        exchange.write_end()
    elif left > 0 and not exchange.answered:
        raise ConnectionResetError("the body ended early")


class Begun(NamedTuple):
    """An exchange that is under way: when it began, and who hears how it ends."""

    started: float
    guard: Guard
    permit: Permit

    def answered(self, status: int, headers: CIMultiDictProxy[str]) -> None:
        """The head of an answer is here; back-pressure and one broken file are no failures."""
        if status in FAILURES and headers.get(ERROR_CODE) not in NO_FAILURES:
            self.guard.failed(self.permit)
        else:
            self.guard.succeeded(self.permit)


class Incoming:
    """An answer whose head is here. Read it to ``b""`` or ``close`` it; ``close`` is idempotent."""

    __slots__ = ("_answer", "_begun", "_done", "status")

    def __init__(self, answer: Exchange, done: Callable[[Begun, str], None], begun: Begun) -> None:
        self._answer, self._begun = answer, begun
        self._done: Callable[[Begun, str], None] | None = done
        self.status = answer.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return self._answer.headers

    async def read_some(self) -> bytes:
        """The next piece, ``b""`` at the end; reading pauses above 64 KiB unread.

        Raises:
            UpstreamBroken, UpstreamTimeout: the body ended too soon, or stood still.
        """
        try:
            return await self._answer.read_some()
        except UpstreamError as error:
            self._broke(error)
            raise

    async def read(self) -> bytes:
        """The whole body; for answers that are known to be small."""
        try:
            return await self._answer.read()
        except UpstreamError as error:
            self._broke(error)
            raise

    def _broke(self, error: UpstreamError) -> None:
        if self._done is not None:
            self._begun.guard.broke(self._begun.permit)
        self.close(result_of_error(error))

    def close(self, result: str = "") -> None:
        """Back to the pool when everything was read and sent, else the connection is closed."""
        if self._done is None:
            return
        done, self._done = self._done, None
        self._answer.close()
        done(self._begun, result or result_of(self.status))


def result_of(status: int) -> str:
    if status < 400:
        return "ok"
    return "client_fault" if status < 500 else "server_fault"


def result_of_error(error: UpstreamError) -> str:
    return "timeout" if isinstance(error, UpstreamTimeout) else "transport"
