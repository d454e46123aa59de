"""The parts of one exchange with another service: its failures, its timer, its two bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDictProxy

from services.kit.http.client import Answer, Sending, UpstreamError, UpstreamTimeout

STALL_S = 30.0


class BodyStalled(Exception):
    """The source of a streamed body gave nothing for too long: not the upstream's fault."""


_INTERRUPTED = Exception("the answer came early")


@dataclass(frozen=True, slots=True)
class Body:
    """A request body that is not in memory: ``read`` gives the next piece, ``b""`` at the end.

    ``read`` may be cancelled: by an early answer, or when it takes too long.
    """

    read: Callable[[], Awaitable[bytes]]
    length: int


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
        self.stop()
        self.cause = cause
        self._task.cancel()

    def interrupt(self) -> None:
        """End the wait for the body's source, if that is where the task is; ``interrupted`` tells."""
        if self._reading and self.cause is None:
            self._fire(_INTERRUPTED)

    def interrupted(self) -> bool:
        """Whether the cancellation that was caught came from ``interrupt``, and from there alone."""
        return self.cause is _INTERRUPTED and self._task.uncancel() == 0

    def stop(self) -> None:
        self._reading = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def translate(self) -> None:
        """Raise what ended the request, if this guard did; a cancellation from outside stays one."""
        if self.cause is not None and self.cause is not _INTERRUPTED and self._task.uncancel() == 0:
            raise self.cause


async def pump(body: Body, sending: Sending, stall_s: float) -> None:
    """Send a body; returns at its end, or as soon as the other side answers before it.

    Raises:
        BodyStalled, UpstreamTimeout: its source, or the other side, made no progress.
        Exception: whatever ``body.read`` raised.
    """
    guard, left = Guard(), body.length
    sending.when_answered(guard.interrupt)
    guard.watch(
        stall_s,
        reading=BodyStalled("the body made no progress"),
        writing=UpstreamTimeout("the other side takes no bytes"),
    )
    try:
        while left > 0 and not sending.answered:
            guard.progress(reading=True)
            piece = await body.read()
            guard.progress(reading=False)
            if not piece:
                raise ConnectionResetError("the body ended early")
            left -= len(piece)
            sending.write(piece)
            del piece
            if sending.full:
                await sending.drained()
    except asyncio.CancelledError:
        if not guard.interrupted():
            guard.translate()
            raise
    finally:
        guard.stop()


class Incoming:
    """An answer whose head is here. Read it to ``b""`` or ``close`` it; ``close`` is idempotent."""

    __slots__ = ("_answer", "_done", "_started", "status")

    def __init__(self, answer: Answer, done: Callable[[float, str], None], started: float) -> None:
        self._answer, self._started = answer, started
        self._done: Callable[[float, str], None] | None = done
        self.status = answer.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return self._answer.headers

    async def read_some(self) -> bytes:
        """The next piece, ``b""`` at the end; reading pauses above 64 KiB unread.

        Raises:
            UpstreamBroken: the body ended too soon.
        """
        try:
            return await self._answer.read_some()
        except UpstreamError:
            self.close("transport")
            raise

    async def read(self) -> bytes:
        """The whole body; for answers that are known to be small."""
        try:
            return await self._answer.read()
        except UpstreamError:
            self.close("transport")
            raise

    def close(self, result: str = "") -> None:
        """Back to the pool when everything was read and sent, else the connection is closed."""
        if self._done is None:
            return
        done, self._done = self._done, None
        self._answer.close()
        done(self._started, result or result_of(self.status))


def result_of(status: int) -> str:
    if status < 400:
        return "ok"
    return "client_fault" if status < 500 else "server_fault"
