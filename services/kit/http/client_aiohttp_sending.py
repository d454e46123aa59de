"""The library twin's streamed bodies: the caller pushes, though aiohttp wants to pull."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import inf
from typing import Any

from aiohttp import ClientResponse
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import Payload

from services.kit.http.client import FULL_BYTES, UpstreamError, UpstreamTimeout
from services.kit.http.client_aiohttp_answer import AiohttpAnswer


class _Pushed(Payload):
    """A body that somebody else writes: aiohttp hands over the connection's writer and waits."""

    _autoclose = True

    def __init__(self, length: int) -> None:
        super().__init__(None)
        self._size = length
        loop = asyncio.get_running_loop()
        self.writer: StreamWriter | None = None
        self.started: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.complete = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        if not isinstance(writer, StreamWriter):
            raise TypeError(type(writer).__name__)
        self.writer = writer
        self.started.set_result(None)
        try:
            await self.ended
        except asyncio.CancelledError:
            # The answer can overtake the end of this task; a cancelled writer closes its connection,
            # so a body that was written whole ends as if nothing had happened.
            if not self.complete:
                raise

    def end(self, *, complete: bool) -> None:
        self.complete = complete
        if not self.ended.done():
            self.ended.set_result(None) if complete else self.ended.cancel()


class AiohttpSending:
    """See ``client.Sending``. aiohttp's request runs in a task, because it waits for the answer itself."""

    def __init__(
        self, length: int, request: Callable[[Payload], Coroutine[Any, Any, ClientResponse]]
    ) -> None:
        self._left_bytes = length
        self._payload = _Pushed(length)
        self._failed: UpstreamError | None = None
        self._task: asyncio.Task[ClientResponse] = asyncio.ensure_future(request(self._payload))

    async def opened(self, timeout_s: float) -> None:
        """The head is on its way."""
        started: asyncio.Future[Any] = self._payload.started
        try:
            done, _ = await asyncio.wait(
                (started, self._task), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:
            self.abort()
            raise
        if not done:
            self.abort()
            raise UpstreamTimeout("no connection in time")
        if not started.done():
            self._task.result()
        if self._left_bytes == 0:
            self._payload.end(complete=True)

    @property
    def full(self) -> bool:
        writer = self._payload.writer
        transport = writer.transport if writer is not None else None
        return transport is not None and transport.get_write_buffer_size() > FULL_BYTES

    @property
    def answered(self) -> bool:
        return self._failed is not None or self._task.done()

    def when_answered(self, call: Callable[[], None]) -> None:
        self._task.add_done_callback(lambda _: call())

    def write(self, data: bytes) -> None:
        writer = self._payload.writer
        if writer is None or self.answered:
            return
        if len(data) > self._left_bytes:
            raise ValueError("more bytes than declared")
        self._left_bytes -= len(data)
        # Without draining this coroutine has nothing to wait for: one step is all of it.
        with suppress(StopIteration, OSError):
            writer.write(data, drain=False).send(None)
        if self._left_bytes == 0:
            self._payload.end(complete=True)

    async def drained(self, stall_s: float = inf) -> None:
        writer = self._payload.writer
        if writer is None or self.answered or not self.full:
            return
        drain = asyncio.ensure_future(writer.drain())
        try:
            done, _ = await asyncio.wait(
                (drain, self._task),
                timeout=None if stall_s == inf else stall_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            drain.cancel()
        if not done:
            self._break(UpstreamTimeout("the other side takes no bytes"))
        elif drain in done:
            with suppress(OSError):  # the connection is closing; the task tells why
                drain.result()

    async def answer(self, timeout_s: float, piece_s: float | None = None) -> AiohttpAnswer:
        due_at = asyncio.get_running_loop().time() + timeout_s
        try:
            await asyncio.wait((self._task,), timeout=timeout_s)
        except asyncio.CancelledError:
            self.abort()
            raise
        if not self._task.done():
            self._break(UpstreamTimeout("no answer in time"))
        if self._failed is not None:
            raise self._failed
        return AiohttpAnswer(self._task.result(), due_at, piece_s, self._cut)

    def abort(self) -> None:
        if not self._task.done() or self._left_bytes:
            self._break(UpstreamError("broken off"))

    def _break(self, error: UpstreamError) -> None:
        self._failed = self._failed or error
        self._cut()
        self._task.cancel()
        self._task.add_done_callback(_looked_at)

    def _cut(self) -> None:
        """A body that is not finished never will be; a close would first try to send what is left."""
        if self._left_bytes:
            writer = self._payload.writer
            if writer is not None and writer.transport is not None:
                writer.transport.abort()
            self._payload.end(complete=False)


def _looked_at(task: asyncio.Task[ClientResponse]) -> None:
    """Nobody else may ask for its exception, or for the response."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
