"""The parts of one exchange with another service: its failures, its timer, its two bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientResponse
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

STALL_S = 30.0


class UpstreamError(Exception):
    """Another service gave no answer."""


class UpstreamUnreachable(UpstreamError):
    """No connection: not one byte was sent."""


class UpstreamBroken(UpstreamError):
    """The connection ended, or nonsense came, after the request was (partly) sent."""


class UpstreamTimeout(UpstreamError):
    """No answer in time, or the other side stopped taking or giving bytes."""


class BodyStalled(Exception):
    """The source of a streamed body gave nothing for too long: not the upstream's fault."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body that is not in memory: ``read`` gives the next piece, ``b""`` at the end."""

    read: Callable[[], Awaitable[bytes]]
    length: int


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be sent; ``timeout_s`` runs from the end of its body to the head of the answer."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes | Body
    timeout_s: float
    stall_s: float = STALL_S


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Guard:
    """Cancels the task that made it when time is up; ``translate`` says what that meant.

    One timer is armed at a time: the deadline of an answer, or the progress of a body. Progress is
    noted as a time stamp; the timer looks at it when it fires, so a piece costs no timer.
    """

    __slots__ = ("_loop", "_reading", "_seen_at", "_stall_s", "_stalled", "_task", "_timer", "cause")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "a request is made inside a task"  # noqa: S101 - for the type checker
        self._task: asyncio.Task[Any] = task
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False
        self._seen_at, self._stall_s = 0.0, STALL_S
        self._stalled: tuple[Exception, Exception] | None = None
        self.cause: Exception | None = None

    def deadline(self, seconds: float) -> None:
        self.stop()
        self._timer = self._loop.call_later(seconds, self._fire, UpstreamTimeout("no answer in time"))

    def watch(self, stall_s: float, *, reading: Exception, writing: Exception) -> None:
        """Demand progress of a body; the exceptions are the causes when its source or its sink stalls."""
        self.stop()
        self._stall_s, self._stalled = stall_s, (writing, reading)
        self.progress(reading=False)
        self._timer = self._loop.call_later(stall_s, self._look)

    def progress(self, *, reading: bool) -> None:
        self._reading = reading
        self._seen_at = self._loop.time()

    def _look(self) -> None:
        left_s = self._seen_at + self._stall_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        elif self._stalled is not None:
            self._fire(self._stalled[self._reading])

    def _fire(self, cause: Exception) -> None:
        self._timer = None
        self.cause = cause
        self._task.cancel()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def translate(self) -> None:
        """Raise what ended the request, if this guard did; a cancellation from outside stays one."""
        if self.cause is not None and self._task.uncancel() == 0:
            raise self.cause


class Streamed(Payload):
    """Feeds a ``Body`` to aiohttp's writer and tells the guard where time is spent."""

    _autoclose = True

    def __init__(self, body: Body, guard: Guard, answer_s: float) -> None:
        super().__init__(body)
        self._body, self._guard, self._answer_s = body, guard, answer_s
        self._size = body.length
        self.error: Exception | None = None
        self.answered = False  # an early answer came: nothing more is read or sent

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        read, guard, left = self._body.read, self._guard, self._body.length
        while left > 0:
            guard.progress(reading=True)
            try:
                piece = await read()
                if not piece:
                    raise ConnectionResetError("the body ended early")
            except Exception as error:
                self.error = error
                raise
            if self.answered:
                await asyncio.get_running_loop().create_future()  # until aiohttp ends this task
            left -= len(piece)
            guard.progress(reading=False)
            await writer.write(piece)
        if not self.answered:
            guard.deadline(self._answer_s)


class Incoming:
    """An answer whose head is here. Read it to ``b""`` or ``close`` it; ``close`` is idempotent."""

    __slots__ = ("_done", "_response", "headers", "status")

    def __init__(self, response: ClientResponse, done: Callable[[str], None]) -> None:
        self._response = response
        self._done: Callable[[str], None] | None = done
        self.status = response.status
        self.headers = response.headers

    async def read_some(self) -> bytes:
        """The next piece, ``b""`` at the end; reading pauses above 64 KiB unread.

        Raises:
            UpstreamBroken: the body ended too soon.
        """
        try:
            return await self._response.content.readany()
        except (ClientError, OSError) as error:
            self.close("transport")
            raise UpstreamBroken(type(error).__name__) from error

    async def read(self) -> bytes:
        """The whole body; for answers that are known to be small."""
        piece = await self.read_some()
        if not piece or self._response.content.at_eof():
            return piece
        pieces = [piece]
        while piece := await self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def close(self, result: str = "") -> None:
        """Back to the pool when everything was read and sent, else the connection is closed."""
        if self._done is None:
            return
        done, self._done = self._done, None
        self._response.release()
        done(result or result_of(self.status))


def result_of(status: int) -> str:
    if status < 400:
        return "ok"
    return "client_fault" if status < 500 else "server_fault"
