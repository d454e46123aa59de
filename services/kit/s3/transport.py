"""One request to the store over an HTTP client, timed and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from services.kit.client import FULL_BYTES, Address, Call, Client, Exchange, UpstreamError
from services.kit.s3.errors import StoreError, refusal, transport_error
from services.kit.trail import TRAIL

Observe = Callable[[str, str, float], None]
BODY_CONNECTIONS, CONTROL_CONNECTIONS = 256, 64
IDLE_S = 20.0  # MinIO closes an idle connection after 30 s; the client must be the one that closes
POOL_WAIT_S = 10.0
READ_S, SLOW_READ_S = 30.0, 120.0
STALL_S = 30.0


@dataclass(frozen=True, slots=True)
class Connections:
    """``bodies`` are lent for as long as a client takes to send or to read one. ``control`` is for all that
    we pace ourselves: so uploads are finished, and health is known, however slow clients are.
    """

    control: Client
    bodies: Client

    @classmethod
    def to(cls, endpoint: str, opened: Callable[[], None]) -> Connections:
        """Connections to a store; ``opened`` is called for each new one."""
        control, bodies = (
            Client(Address.of(endpoint, limit=limit, idle_s=IDLE_S, opened=opened, refusals_end=True))
            for limit in (CONTROL_CONNECTIONS, BODY_CONNECTIONS)
        )
        return cls(control, bodies)

    async def close(self) -> None:
        await self.bodies.close()
        await self.control.close()


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

    def __init__(self, connections: Connections, observe: Observe) -> None:
        self._connections, self._observe = connections, observe

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

    async def open(self, op: str, call: Call, *, for_client: bool) -> Exchange:
        """An answer whose head is here; the caller reads or closes it.

        Args:
            for_client: a client reads it, as slowly as it likes.

        Raises:
            StoreError: no answer or a refusal.
        """
        connections = self._connections
        client = connections.bodies if for_client else connections.control
        with self._observed(op):
            return await good(op, await client.send(call, timeout_s=READ_S, piece_s=READ_S))

    async def put(self, op: str, call: Call, size_bytes: int) -> tuple[Exchange, Callable[[str], None]]:
        """A request whose body the caller writes, and the function that takes its result.

        Raises:
            StoreError: there is no connection.
        """
        started = perf_counter()

        def done(result: str) -> None:
            self._account(op, result, perf_counter() - started)

        try:
            return await self._connections.bodies.open(call, size_bytes, timeout_s=POOL_WAIT_S), done
        except UpstreamError as error:
            failed = transport_error(op)
            done(failed.result)
            raise failed from error

    async def _send(self, call: Call, body: bytes, read_s: float) -> Exchange:
        client = self._connections.control
        if len(body) <= FULL_BYTES:
            return await client.send(call, body, timeout_s=read_s, piece_s=read_s)
        sending = await client.open(call, len(body), timeout_s=POOL_WAIT_S)
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
