"""A streamed PUT: the caller pushes, with no queue and no task switch per piece."""

from __future__ import annotations

from collections.abc import Callable

from services.kit.http.client import Sending, UpstreamError
from services.kit.s3.errors import StoreError, transport_error
from services.kit.s3.model import Stored
from services.kit.s3.transport import READ_S, good


class StreamedPut:
    """The exchange behind ``open_put`` and ``open_part``; see ``protocol.PutExchange``.

    Args:
        op: for errors.
        done: takes the result once, for the metric.
        stall_s: how long the store may take no bytes.
    """

    def __init__(
        self, op: str, size_bytes: int, sending: Sending, done: Callable[[str], None], stall_s: float
    ) -> None:
        self._op, self._left_bytes, self._stall_s = op, size_bytes, stall_s
        self._sending = sending
        self._done: Callable[[str], None] | None = done

    @property
    def full(self) -> bool:
        return self._sending.full

    @property
    def answered(self) -> bool:
        return self._sending.answered

    async def write(self, data: bytes) -> None:
        sending = self._sending
        if not sending.answered:
            sending.write(data)
            self._left_bytes -= len(data)

    async def drained(self) -> None:
        await self._sending.drained(self._stall_s)

    async def finish(self) -> Stored:
        if self._left_bytes and not self._sending.answered:
            await self.abort()
            raise ValueError("fewer bytes than declared")
        result = "aborted"
        try:
            stored = await self._stored()
            result = "ok"
        except StoreError as error:
            result = error.result
            raise
        finally:
            self._observe(result)
        return stored

    async def _stored(self) -> Stored:
        try:
            answer = await good(self._op, await self._sending.answer(READ_S, READ_S))
            try:
                await answer.read()
            finally:
                answer.close()
        except UpstreamError as error:
            raise transport_error(self._op) from error
        if self._left_bytes:
            raise transport_error(self._op)  # success before the end is none
        return Stored(answer.headers.get("ETag", ""))

    async def abort(self) -> None:
        self._sending.abort()
        self._observe("aborted")

    def _observe(self, result: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(result)
