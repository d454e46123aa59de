"""One request to the store over an HTTP client, timed and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from services.kit.client import FULL_BYTES, Call, Client, Exchange, UpstreamError
from services.kit.s3.errors import StoreError, refusal, transport_error
from services.kit.trail import TRAIL

Observe = Callable[[str, str, float], None]
CONNECTIONS = 256
IDLE_S = 20.0  # MinIO closes an idle connection after 30 s; the client must be the one that closes
POOL_WAIT_S = 10.0
READ_S, SLOW_READ_S = 30.0, 120.0
STALL_S = 30.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A good answer, read whole."""

    headers: Mapping[str, str]
    body: bytes


async def good(op: str, answer: Exchange) -> Exchange:
    """The answer if its status says that it worked; what it says of a failure is read and closed.

    Raises:
        StoreError: a refusal.
    """
    if answer.status < 300:
        return answer
    try:
        raise refusal(op, answer.status, await answer.read())
    finally:
        answer.close()


class Transport:
    """Sends signed requests; every failure is a ``StoreError``, every request is observed once."""

    def __init__(self, client: Client, observe: Observe) -> None:
        self._client, self._observe = client, observe

    async def call(self, op: str, call: Call, body: bytes = b"", read_s: float = READ_S) -> Whole:
        """The whole answer to a request whose answer is small.

        Args:
            read_s: the longest wait for the head of the answer and for each piece.

        Raises:
            StoreError: no answer or a refusal.
        """
        with self._observed(op):
            answer = await good(op, await self._send(call, body, read_s))
            try:
                return Whole(answer.headers, await answer.read())
            finally:
                answer.close()

    async def open(self, op: str, call: Call) -> Exchange:
        """An answer whose head is here; the caller reads or closes it.

        Raises:
            StoreError: no answer or a refusal.
        """
        with self._observed(op):
            return await good(op, await self._send(call, b"", READ_S))

    async def put(self, op: str, call: Call, size_bytes: int) -> tuple[Exchange, Callable[[str], None]]:
        """A request whose body the caller writes, and the function that takes its result.

        Raises:
            StoreError: there is no connection.
        """
        started = perf_counter()

        def done(result: str) -> None:
            self._account(op, result, perf_counter() - started)

        try:
            return await self._client.open(call, size_bytes, timeout_s=POOL_WAIT_S), done
        except UpstreamError as error:
            failed = transport_error(op)
            done(failed.result)
            raise failed from error

    async def _send(self, call: Call, body: bytes, read_s: float) -> Exchange:
        if len(body) <= FULL_BYTES:
            return await self._client.send(call, body, timeout_s=read_s, piece_s=read_s)
        sending = await self._client.open(call, len(body), timeout_s=POOL_WAIT_S)
        try:
            for start in range(0, len(body), FULL_BYTES):
                sending.write(body[start : start + FULL_BYTES])
                if sending.full:
                    await sending.drained(STALL_S)
            return await sending.answer(read_s, read_s)
        except BaseException:
            sending.abort()
            raise

    @contextmanager
    def _observed(self, op: str) -> Iterator[None]:
        started, result = perf_counter(), "aborted"
        try:
            yield
            result = "ok"
        except UpstreamError as error:
            failed = transport_error(op)
            result = failed.result
            raise failed from error
        except StoreError as error:
            result = error.result
            raise
        finally:
            self._account(op, result, perf_counter() - started)

    def _account(self, op: str, result: str, seconds: float) -> None:
        self._observe(op, result, seconds)
        TRAIL.get().store_request(seconds)
