"""A body on its way in: what arrived and was not read, and who waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FULL_BYTES = 65_536


class Flow:
    """What a body asks of its connection."""

    __slots__ = ("pause", "resume", "wait")

    def __init__(
        self, pause: Callable[[], None], resume: Callable[[], None], wait: Callable[[bool], None]
    ) -> None:
        self.pause, self.resume = pause, resume
        self.wait = wait  # True: a reader waits for the other side now; False: no longer


class ArrivingBody:
    """Pieces in the order they came; reading of the socket pauses above 64 KiB.

    A paused connection goes on only when the reader has dealt with everything and comes back, so that
    a slow reader costs one piece of memory and not two.
    """

    __slots__ = ("_ended", "_error", "_flow", "_paused", "_pieces", "_size", "_waiter", "total_bytes")

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = self._paused = False
        self._error: BaseException | None = None
        self.total_bytes = 0

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        self.total_bytes += len(data)
        if self._size >= FULL_BYTES and not self._paused:
            self._paused = True
            self._flow.pause()
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        if not self._ended and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def is_eof(self) -> bool:
        return self._ended

    def at_eof(self) -> bool:
        return self._ended and not self._pieces

    def taken(self) -> bytes:
        """Everything that is here, without waiting."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces, self._size = [], 0
        return data

    async def readany(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._more()
        return self.taken()

    async def _more(self) -> None:
        if self._paused:
            self._paused = False
            self._flow.resume()
        self._flow.wait(True)
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None
            self._flow.wait(False)
