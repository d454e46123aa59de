"""A streamed PUT: the caller pushes, with no queue and no task switch per piece."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.kit.client import Exchange, UpstreamBroken, UpstreamError
from services.kit.s3.errors import StoreError, transport_error
from services.kit.s3.model import Stored
from services.kit.s3.transport import READ_S, good


class StreamedPut:
    """A body on its way into the store.

    The loop of a caller: ``write`` each piece, ``await drained()`` when ``full``, ``await finish()``
    at the end; ``abort`` on any exception. A store that answers before the end (412) sets ``answered``:
    further writes do nothing, so the caller may go on receiving and hashing, and ``finish`` raises.

    Args:
        op: for errors.
        done: takes the result once, for the metric.
        stall_s: how long the store may take no bytes.
        refusal: what the store may have refused the PUT for, when that is still so; else None. Asked when
            the connection broke, because some stores refuse by breaking it, and their answer is lost.
    """

    def __init__(
        self,
        op: str,
        size_bytes: int,
        sending: Exchange,
        done: Callable[[str], None],
        *,
        stall_s: float,
        refusal: Callable[[], Awaitable[StoreError | None]] | None = None,
    ) -> None:
        self._op, self._left_bytes, self._stall_s = op, size_bytes, stall_s
        self._sending, self._refusal = sending, refusal
        self._done: Callable[[str], None] | None = done

    @property
    def full(self) -> bool:
        """More than 64 KiB wait: await ``drained`` before the next write."""
        return self._sending.full

    @property
    def answered(self) -> bool:
        """The store answered or the connection broke; nothing more is sent."""
        return self._sending.answered

    async def write(self, data: bytes) -> None:
        """Queue ``data`` for sending; never waits, never raises. Bytes beyond the size are a ValueError."""
        sending = self._sending
        if not sending.answered:
            sending.write(data)
            self._left_bytes -= len(data)

    async def drained(self) -> None:
        """Wait until the store took enough; never raises. A store that stalls breaks the exchange."""
        await self._sending.drained(self._stall_s)

    async def finish(self) -> Stored:
        """Wait for the answer. A body shorter than declared stores nothing and is a ValueError."""
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
        except UpstreamBroken as error:
            refused = await self._refusal() if self._refusal is not None else None
            raise refused or transport_error(self._op) from error
        except UpstreamError as error:
            raise transport_error(self._op) from error
        if self._left_bytes:
            raise transport_error(self._op)  # success before the end is none
        return Stored(answer.headers.get("ETag", ""))

    async def abort(self) -> None:
        """Break off: the store sees a short body and keeps nothing. Idempotent, also after ``finish``."""
        self._sending.abort()
        self._observe("aborted")

    def _observe(self, result: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(result)
