"""A connection of the client: bytes in both directions, and where an answer ends.

An answer whose length cannot be known for certain is broken, and a connection goes back to the pool only
when the answer was whole, the request was sent to its last byte, and the other side said it stays.

Nothing here starts a task or a timer for each request: an exchange carries its deadline, and whoever
waits for it is woken by the connection or by the pool's sweeper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict, CIMultiDictProxy

from services.kit.client.model import FULL_BYTES, UpstreamBroken, UpstreamError, UpstreamTimeout

HEAD_BYTES = 65_536
UNKNOWN = -1  # length of a body that is sent in chunks
SWEEP_S = 0.25
PRECISE_BELOW_S = 2.0
NO_ANSWER = "no answer in time"
NOT_TAKEN = "the other side takes no bytes"
STOOD_STILL = "the answer made no progress"


class Exchange:
    """A request on its way out and its answer on its way in.

    The answer is read to ``b""`` or closed. ``connection`` is None as soon as the exchange is over; then
    the connection may serve another.
    """

    __slots__ = (
        "_headers",
        "_late",
        "_loop",
        "_on_answer",
        "_piece_s",
        "_timer",
        "_waiter",
        "buffered_bytes",
        "complete",
        "connection",
        "deadline",
        "error",
        "held",
        "pieces",
        "raw_headers",
        "status",
        "unsent_bytes",
    )

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop, unsent_bytes: int) -> None:
        self._loop = loop
        self.connection: Connection | None = connection
        self.unsent_bytes = unsent_bytes
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._headers: CIMultiDictProxy[str] | None = None
        self.pieces: list[bytes] = []
        self.buffered_bytes = 0
        self.held = False  # reading from the connection is paused
        self.complete = False
        self.error: UpstreamError | None = None
        self.deadline = inf
        self._late = NO_ANSWER
        self._piece_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_answer: Callable[[], None] | None = None

    # The request.

    @property
    def full(self) -> bool:
        """More than 64 KiB wait: await ``drained`` before the next ``write``."""
        return self.connection is not None and self.connection.full and not self.status

    @property
    def answered(self) -> bool:
        """The other side answered or the connection broke: nothing more is sent."""
        return self.status != 0 or self.error is not None

    def when_answered(self, call: Callable[[], None]) -> None:
        """Call this once, as soon as ``answered`` becomes true."""
        self._on_answer = call

    def write(self, data: bytes) -> None:
        """Never waits, never fails; bytes beyond the declared length are a ValueError."""
        if self.connection is None or self.status:
            return
        if self.unsent_bytes == UNKNOWN:
            self.connection.transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
            return
        if len(data) > self.unsent_bytes:
            raise ValueError("more bytes than declared")
        self.unsent_bytes -= len(data)
        self.connection.transport.write(data)

    def write_end(self) -> None:
        """A body of unknown length is complete."""
        if self.connection is not None and not self.status and self.unsent_bytes == UNKNOWN:
            self.unsent_bytes = 0
            self.connection.transport.write(b"0\r\n\r\n")

    async def drained(self, stall_s: float = inf) -> None:
        """Wait until enough was taken or the exchange is ``answered``; never fails."""
        if not self.full:
            return
        self._due(stall_s, NOT_TAKEN)
        await self._wait()
        self._untimed()

    async def answer(self, timeout_s: float, piece_s: float | None = None) -> Exchange:
        """The head of the answer, ``timeout_s`` from now at the latest.

        Args:
            piece_s: how long each piece of the answer's body may take; None: ``timeout_s`` bounds the
                whole answer.

        Raises:
            UpstreamError: there was no answer.
        """
        self._due(timeout_s, NO_ANSWER)
        self._piece_s = piece_s
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait()
        if piece_s is not None:
            self._untimed()
        return self

    def abort(self) -> None:
        """Break off: the other side sees a short body. Idempotent; nothing once the answer is complete."""
        if self.connection is not None:
            self._on_answer = None
            self.fail(UpstreamError("broken off"))

    # The answer.

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        if self._headers is None:
            self._headers = CIMultiDictProxy(
                CIMultiDict(
                    (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                    for name, value in self.raw_headers
                )
            )
        return self._headers

    async def read_some(self) -> bytes:
        """The next piece, ``b""`` at the end; above 64 KiB unread the other side has to wait.

        Raises:
            UpstreamBroken, UpstreamTimeout: the body ended too soon or stood still.
        """
        while not self.pieces:
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._wait_for_piece()
        data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        self.pieces.clear()
        self.buffered_bytes = 0
        if self.held and self.connection is not None:
            self.held = False
            self.connection.transport.resume_reading()
        return data

    async def read(self) -> bytes:
        """The whole body; for answers that are known to be small."""
        whole = await self.read_some()
        if self.complete and not self.pieces:
            return whole
        pieces = [whole]
        while piece := await self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Idempotent. A connection that is not clean is not used again."""
        self.abort()

    # Waiting.

    async def _wait_for_piece(self) -> None:
        if self._piece_s is None:
            await self._wait()
            return
        self._due(self._piece_s, STOOD_STILL)
        await self._wait()
        self._untimed()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _due(self, seconds: float, late: str) -> None:
        if self._timer is not None:
            self._untimed()
        self.deadline = self._loop.time() + seconds
        self._late = late
        if seconds < PRECISE_BELOW_S and self.connection is not None:
            self._timer = self._loop.call_at(self.deadline, self.expire)

    def _untimed(self) -> None:
        self.deadline = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expire(self) -> None:
        """The deadline passed."""
        self.fail(UpstreamTimeout(self._late))

    # What the connection reports.

    def begin(self, status: int) -> None:
        """The head of the answer is complete."""
        self.status = status
        self._tell()

    def end(self) -> None:
        """The answer is complete; the connection is not ours any more."""
        self.complete = True
        self.connection = None
        self._untimed()
        self.wake()

    def fail(self, error: UpstreamError) -> None:
        """Nothing more comes; a connection that is still there is closed."""
        self.error = error
        connection, self.connection = self.connection, None
        self._untimed()
        if connection is not None:
            connection.drop()
        self._tell()

    def _tell(self) -> None:
        call, self._on_answer = self._on_answer, None
        if call is not None:
            call()
        self.wake()


class Home(NamedTuple):
    """What a connection tells the pool that it belongs to; see ``model.Address`` for ``refusals_end``."""

    made: Callable[[Connection], None]
    freed: Callable[[Connection], None]  # it may serve the next request
    lost: Callable[[Connection], None]
    refusals_end: bool


class Connection(asyncio.Protocol):
    """Serves one exchange at a time."""

    __slots__ = (
        "_bodiless",
        "_bodily",
        "_chunked",
        "_dirty",
        "_ended",
        "_head_bytes",
        "_home",
        "_keep",
        "_left_bytes",
        "_loop",
        "_parser",
        "_past_parser",
        "_waited_bytes",
        "exchange",
        "full",
        "idle_since",
        "made",
        "transport",
    )
    transport: asyncio.Transport

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop) -> None:
        self._home, self._loop = home, loop
        self.exchange: Exchange | None = None
        self.made = False
        self.full = False  # the transport holds as much as it should
        self.idle_since = 0.0
        self._renew(parser=True)
        self._bodiless = self._bodily = False

    def _renew(self, *, parser: bool) -> None:
        """Ready for the next answer."""
        if parser:
            self._parser = HttpResponseParser(self)
        self._left_bytes = -1  # of a body with a length; -1: no length is known
        self._head_bytes = self._waited_bytes = 0
        self._chunked = self._keep = False
        self._past_parser = self._ended = self._dirty = False

    def start(self, head: bytes, body: bytes = b"", *, unsent_bytes: int = 0, bodiless: bool) -> Exchange:
        """Send a request; ``bodiless``: no body follows the head of the answer, whatever that says."""
        self._bodiless, self._bodily = bodiless, bool(body or unsent_bytes)
        exchange = self.exchange = Exchange(self, self._loop, unsent_bytes)
        if body:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head)
        return exchange

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        self.exchange = None
        self.transport.abort()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.made, self.idle_since = True, self._loop.time()
        self._home.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._home.lost(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if exc is None and exchange.status and self._left_bytes < 0 and not self._chunked:
            exchange.end()  # the end of the connection was the end of the body
        else:
            silent = not exchange.status and not self._waited_bytes
            why = type(exc).__name__ if exc else "closed too soon"
            exchange.fail(UpstreamBroken(why, silent=silent))

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self.exchange is not None:
            self.exchange.wake()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # nobody asked: nothing it says can be trusted
            self.drop()
            return
        if self._past_parser:
            self._count(exchange, data)
        elif not self._parse(exchange, data):
            return
        if self._ended:
            self._finish(exchange)
        elif exchange.buffered_bytes > FULL_BYTES and not exchange.held:
            exchange.held = True
            self.transport.pause_reading()

    def _parse(self, exchange: Exchange, data: bytes) -> bool:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._ended:
                exchange.fail(UpstreamBroken(str(error) or type(error).__name__))
                return False
            self._dirty = True
        if exchange.status == 0:
            self._waited_bytes += len(data)
            if self._waited_bytes > HEAD_BYTES:  # in a head that does not end, or in one line of it
                exchange.fail(UpstreamBroken("the head of the answer is too long"))
                return False
        elif self._left_bytes > 0:
            self._past_parser = True  # from here on the length alone says where the body ends
        return True

    def _count(self, exchange: Exchange, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            data, self._dirty = data[: self._left_bytes], True
        self._give(exchange, data)
        self._ended = self._left_bytes <= 0

    @staticmethod
    def _give(exchange: Exchange, data: bytes) -> None:
        exchange.pieces.append(data)
        exchange.buffered_bytes += len(data)
        exchange.wake()

    def _finish(self, exchange: Exchange) -> None:
        transport = self.transport
        clean = (
            self._keep
            and not self._dirty
            and not (exchange.status >= 400 and self._bodily and self._home.refusals_end)
            and not exchange.unsent_bytes
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )
        self.exchange = None
        if exchange.held:
            transport.resume_reading()
        exchange.end()
        if clean:
            self._renew(parser=self._past_parser or self._bodiless)
            self.idle_since = self._loop.time()
            self._home.freed(self)
        else:
            transport.abort()

    # The parser calls these.

    def on_message_begin(self) -> None:
        if self._ended:
            self._dirty = True  # more than one answer

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self.exchange
        if exchange is None or exchange.status:
            return  # a trailer says nothing
        exchange.raw_headers.append((name, value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            raise ValueError("the head of the answer is too long")
        if len(name) == 14 and name.lower() == b"content-length":
            self._left_bytes = int(value)
        elif len(name) == 17 and name.lower() == b"transfer-encoding":
            if self._chunked or value.lower() != b"chunked":
                raise ValueError("a transfer coding that is not understood")
            self._chunked = True

    def on_headers_complete(self) -> None:
        exchange, status = self.exchange, self._parser.get_status_code()
        if exchange is None or exchange.status:
            return
        if status < 200:
            if status == 101:
                raise ValueError("nothing was to be upgraded")
            exchange.raw_headers.clear()
            self._left_bytes, self._chunked = -1, False
            return
        # Now: once the message is complete, the parser has forgotten it.
        self._keep = self._parser.should_keep_alive()
        if self._bodiless or status in {204, 304}:
            self._left_bytes, self._ended = 0, True
        exchange.begin(status)

    def on_body(self, data: bytes) -> None:
        if self._ended:  # of nothing that was asked for
            self._dirty = True
            return
        if not self._chunked:
            self._left_bytes -= len(data)
        exchange = self.exchange
        if exchange is not None:
            self._give(exchange, data)

    def on_message_complete(self) -> None:
        if self.exchange is not None and self.exchange.status:
            self._ended = True
