"""The half of a connection that writes: one answer, in bounded memory and never for ever."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.kit.http import render
from services.kit.http.message import Request, Response, SourceStalled, Stalled

NEVER = float("inf")


class Phase(Enum):
    """What a connection's time limit is about."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WRITE = "write"
    SOURCE = "source"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of a connection in seconds, and whether a client that leaves cancels its handler."""

    body_idle_s: float = 30.0  # a body or an answer that makes no progress
    head_s: float = 10.0
    idle_s: float = 75.0  # more than the 60 s of our clients, so that the client closes
    linger_s: float = 2.0
    cancels: bool = False


class Writing(ABC):
    """Sends answers. ``closes`` tells whether the connection ends after the one being sent."""

    transport: Any

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.limits, self.loop = limits, loop
        self.answered = self.closes = False
        self.phase, self.due_at = Phase.IDLE, NEVER
        self._full = self._is_lost = False
        self._room: asyncio.Future[None] | None = None
        self._cancelled: SourceStalled | None = None
        self._dates = render.Dates()

    def wait_for(self, phase: Phase, seconds: float) -> None:
        """Be late in ``seconds`` unless something happens before."""
        self.phase, self.due_at = phase, self.loop.time() + seconds

    @abstractmethod
    def ends(self, request: Request, response: Response) -> bool:
        """Whether the connection ends after this answer."""

    def connected(self) -> bool:
        return not self.transport.is_closing()

    def abort(self) -> None:
        self.transport.abort()

    # What the transport and the sweeper say.

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake(None)

    def lost(self) -> None:
        self._is_lost = True
        self._wake(ConnectionResetError("the client left"))

    def stalled(self, task: asyncio.Task[None] | None) -> None:
        """The client takes no bytes, or their source gives none."""
        if self.phase is Phase.WRITE:
            self._wake(Stalled())
        elif task is not None:
            self._cancelled = SourceStalled()
            task.cancel()

    def _wake(self, error: Exception | None) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            if error is None:
                room.set_result(None)
            else:
                room.set_exception(error)

    # An answer.

    async def respond(self, request: Request, response: Response) -> None:
        if self._is_lost or self.transport.is_closing():
            raise ConnectionResetError("the client left")
        self.answered = True
        self.closes = self.ends(request, response)
        with_body = request.method != "HEAD" and response.status not in render.BODILESS
        head = render.head(response.status, response.headers, self._framing(request, response))
        if response.stream is not None and with_body:
            self.transport.write(head)
            await self._stream(request, response, response.stream)
            return
        if with_body:
            head += response.body
            request.sent_bytes = len(response.body)
        self.transport.write(head)
        if self._full:
            await self._drained()

    def _framing(self, request: Request, response: Response) -> str:
        """The lines that say when and how long."""
        lines = self._dates.line(time.time())
        if "Content-Length" not in response.headers and response.status not in render.BODILESS:
            if response.stream is None:
                lines += f"Content-Length: {len(response.body)}\r\n"
            elif request.version == (1, 1):
                lines += "Transfer-Encoding: chunked\r\n"
        return lines + "Connection: close\r\n" if self.closes else lines

    async def _stream(
        self, request: Request, response: Response, source: Callable[[], Awaitable[bytes]]
    ) -> None:
        declared = response.headers.get("Content-Length")
        chunked = declared is None and request.version == (1, 1)
        while piece := await self._piece(source):
            request.sent_bytes += len(piece)
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if self._full:
                await self._drained()
        if declared is not None and request.sent_bytes != int(declared):
            raise ConnectionResetError("the answer is not as long as its head says")
        if chunked:
            self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        """While the next piece was waited for the client may have left; a closed transport refuses bytes."""
        if self._is_lost or self.transport.is_closing():
            raise ConnectionResetError("the client left")
        self.transport.write(data)

    async def _piece(self, source: Callable[[], Awaitable[bytes]]) -> bytes:
        self.wait_for(Phase.SOURCE, self.limits.body_idle_s)
        try:
            return await source()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._cancelled is not None and task is not None and task.uncancel() == 0:
                raise self._cancelled from None
            raise
        finally:
            self.due_at = NEVER

    async def _drained(self) -> None:
        """Wait until the client has taken most of what was sent."""
        while self._full:
            if self._is_lost:
                raise ConnectionResetError("the client left")
            self.wait_for(Phase.WRITE, self.limits.body_idle_s)
            self._room = self.loop.create_future()
            try:
                await self._room
            finally:
                self._room, self.due_at = None, NEVER
