"""A streamed PUT on aiohttp's client: the caller pushes, no queue and no task switch per piece.

aiohttp asks a request's payload to write itself. Ours hands the connection's writer to the exchange
and waits; the caller writes through it directly. When the store answers early, aiohttp reads the
answer and closes the connection, because the body never ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

from services.kit.s3.errors import StoreError, transport_error
from services.kit.s3.model import Stored

FULL_BYTES = 65_536
STALL_S = 30.0


class HeldBody(aiohttp.Payload):
    """Bytes in memory, written in pieces, so that a large body waits for the socket in between."""

    _autoclose = True

    def __init__(self, body: bytes) -> None:
        super().__init__(body, content_type="application/octet-stream")
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a body of bytes is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        whole = memoryview(self._value)
        for start in range(0, len(whole), FULL_BYTES):
            await writer.write(whole[start : start + FULL_BYTES])


class _PushPayload(aiohttp.Payload):
    """A body that somebody else writes, ``size_bytes`` long."""

    _autoclose = True

    def __init__(self, size_bytes: int) -> None:
        super().__init__(None, content_type="application/octet-stream")
        self._size = size_bytes
        loop = asyncio.get_running_loop()
        self.writer: StreamWriter | None = None
        self.started: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.complete = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body cannot be shown")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        # aiohttp calls this again, on a new connection, when a kept-alive one turns out to be dead
        # and nothing was written yet; once written, ``consumed`` forbids it.
        if not isinstance(writer, StreamWriter):
            raise TypeError(type(writer).__name__)
        self.writer = writer
        if not self.started.done():
            self.started.set_result(None)
        try:
            await self.ended
        except asyncio.CancelledError:
            # The answer can overtake the end of this task; a cancelled writer closes its connection,
            # so a body that was written whole ends as if nothing had happened.
            if not self.complete:
                raise

    def use(self) -> None:
        self._consumed = True


class StreamedPut:
    """The exchange behind ``open_put`` and ``open_part``; see ``protocol.PutExchange``.

    Args:
        op: for errors.
        send: runs the request with the payload given and returns what the store answered.
    """

    def __init__(
        self, op: str, size_bytes: int, send: Callable[[aiohttp.Payload], Awaitable[Stored]], stall_s: float
    ) -> None:
        self._op, self._left_bytes, self._stall_s = op, size_bytes, stall_s
        self._payload = _PushPayload(size_bytes)
        self._task: asyncio.Task[Stored] = asyncio.ensure_future(self._run(send))
        self._broken = False

    async def _run(self, send: Callable[[aiohttp.Payload], Awaitable[Stored]]) -> Stored:
        try:
            return await send(self._payload)
        finally:
            writer = self._payload.writer
            if self._left_bytes and writer is not None and writer.transport is not None:
                writer.transport.abort()  # a close would first try to send what the store no longer reads

    async def opened(self) -> None:
        """Wait until the request head is on its way.

        Raises:
            StoreError: no connection could be had.
        """
        started: asyncio.Future[Any] = self._payload.started
        try:
            await asyncio.wait((started, self._task), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.abort()
            raise
        if not started.done():
            self._task.result()
        if self._left_bytes == 0:
            self._end()

    def _end(self) -> None:
        self._payload.use()
        self._payload.complete = True
        if not self._payload.ended.done():
            self._payload.ended.set_result(None)

    @property
    def full(self) -> bool:
        writer = self._payload.writer
        transport = writer.transport if writer else None
        return transport is not None and transport.get_write_buffer_size() > FULL_BYTES

    @property
    def answered(self) -> bool:
        return self._broken or self._task.done()

    @property
    def refused(self) -> StoreError | None:
        if not self._task.done():
            return transport_error(self._op) if self._broken else None
        if self._task.cancelled():
            return transport_error(self._op)
        error = self._task.exception()
        return error if isinstance(error, StoreError) else None

    async def write(self, data: bytes) -> None:
        writer = self._payload.writer
        if not data or writer is None or self.answered:
            return
        if len(data) > self._left_bytes:
            raise ValueError("more bytes than declared")
        self._payload.use()
        try:
            await writer.write(data, drain=False)  # does not suspend without drain
        except OSError:  # the connection is closing; the task tells why
            self._broken = True
            return
        self._left_bytes -= len(data)
        if self._left_bytes == 0:
            self._end()

    async def drained(self) -> None:
        writer = self._payload.writer
        if writer is None or self.answered:
            return
        try:
            async with asyncio.timeout(self._stall_s):
                await writer.drain()
        except TimeoutError:
            self._broken = True
            self._task.cancel()
        except OSError:
            self._broken = True

    async def finish(self) -> Stored:
        if self._left_bytes and not self.answered:
            await self.abort()
            raise ValueError("fewer bytes than declared")
        try:
            await asyncio.wait((self._task,))
        except asyncio.CancelledError:
            await self.abort()
            raise
        if self._task.cancelled() or (self._left_bytes and self.refused is None):
            raise transport_error(self._op)  # stalled or aborted; or a 200 before the end, which is none
        return self._task.result()

    async def abort(self) -> None:
        self._broken = True
        self._payload.use()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()  # looked at: nobody else may ask
        if not self._payload.ended.done():
            self._payload.ended.cancel()
