"""One request of the thin client and its answer, on one connection.

Nothing here starts a task or a timer for each request: an exchange carries its deadline, and whoever
waits for it is woken by the connection or by the client's sweeper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from multidict import CIMultiDict, CIMultiDictProxy

from services.kit.http.client import UpstreamError, UpstreamTimeout

if TYPE_CHECKING:
    from services.kit.http.client_connection import Connection

SWEEP_S = 0.25
PRECISE_BELOW_S = 2.0
NO_ANSWER = "no answer in time"
NOT_TAKEN = "the other side takes no bytes"
STOOD_STILL = "the answer made no progress"


class Exchange:
    """See ``client.Sending`` and ``client.Answer``: one object is both.

    ``connection`` is None as soon as the exchange is over; then the connection may serve another.
    """

    __slots__ = (
        "_headers",
        "_late",
        "_loop",
        "_on_answer",
        "_piece_s",
        "_timer",
        "_waiter",
        "buffered_bytes",
        "complete",
        "connection",
        "deadline",
        "error",
        "held",
        "pieces",
        "raw_headers",
        "status",
        "unsent_bytes",
    )

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop, unsent_bytes: int) -> None:
        self._loop = loop
        self.connection: Connection | None = connection
        self.unsent_bytes = unsent_bytes
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._headers: CIMultiDictProxy[str] | None = None
        self.pieces: list[bytes] = []
        self.buffered_bytes = 0
        self.held = False  # reading from the connection is paused
        self.complete = False
        self.error: UpstreamError | None = None
        self.deadline = inf
        self._late = NO_ANSWER
        self._piece_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_answer: Callable[[], None] | None = None

    # The request.

    @property
    def full(self) -> bool:
        return self.connection is not None and self.connection.full and not self.status

    @property
    def answered(self) -> bool:
        return self.status != 0 or self.error is not None

    def when_answered(self, call: Callable[[], None]) -> None:
        self._on_answer = call

    def write(self, data: bytes) -> None:
        if self.connection is None or self.status:
            return
        if len(data) > self.unsent_bytes:
            raise ValueError("more bytes than declared")
        self.unsent_bytes -= len(data)
        self.connection.transport.write(data)

    async def drained(self, stall_s: float = inf) -> None:
        if not self.full:
            return
        self._due(stall_s, NOT_TAKEN)
        await self._wait()
        self._untimed()

    async def answer(self, timeout_s: float, piece_s: float | None = None) -> Exchange:
        self._due(timeout_s, NO_ANSWER)
        self._piece_s = piece_s
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait()
        if piece_s is not None:
            self._untimed()
        return self

    def abort(self) -> None:
        if self.connection is not None:
            self._on_answer = None
            self.fail(UpstreamError("broken off"))

    # The answer.

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        if self._headers is None:
            self._headers = CIMultiDictProxy(
                CIMultiDict(
                    (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                    for name, value in self.raw_headers
                )
            )
        return self._headers

    async def read_some(self) -> bytes:
        while not self.pieces:
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._wait_for_piece()
        data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        self.pieces.clear()
        self.buffered_bytes = 0
        if self.held and self.connection is not None:
            self.held = False
            self.connection.transport.resume_reading()
        return data

    async def read(self) -> bytes:
        whole = await self.read_some()
        if self.complete and not self.pieces:
            return whole
        pieces = [whole]
        while piece := await self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self.abort()

    # Waiting.

    async def _wait_for_piece(self) -> None:
        if self._piece_s is None:
            await self._wait()
            return
        self._due(self._piece_s, STOOD_STILL)
        await self._wait()
        self._untimed()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _due(self, seconds: float, late: str) -> None:
        if self._timer is not None:
            self._untimed()
        self.deadline = self._loop.time() + seconds
        self._late = late
        if seconds < PRECISE_BELOW_S and self.connection is not None:
            self._timer = self._loop.call_at(self.deadline, self.expire)

    def _untimed(self) -> None:
        self.deadline = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expire(self) -> None:
        """The deadline passed."""
        self.fail(UpstreamTimeout(self._late))

    # What the connection reports.

    def begin(self, status: int) -> None:
        """The head of the answer is complete."""
        self.status = status
        self._tell()

    def end(self) -> None:
        """The answer is complete; the connection is not ours any more."""
        self.complete = True
        self.connection = None
        self._untimed()
        self.wake()

    def fail(self, error: UpstreamError) -> None:
        """Nothing more comes; a connection that is still there is closed."""
        self.error = error
        connection, self.connection = self.connection, None
        self._untimed()
        if connection is not None:
            connection.drop()
        self._tell()

    def _tell(self) -> None:
        call, self._on_answer = self._on_answer, None
        if call is not None:
            call()
        self.wake()
