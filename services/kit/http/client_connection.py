"""A connection of the thin client: bytes in both directions, and where an answer ends.

An answer whose length cannot be known for certain is broken, and a connection goes back to the pool only
when the answer was whole, the request was sent to its last byte, and the other side said it stays.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from services.kit.http.client import FULL_BYTES, UpstreamBroken
from services.kit.http.client_exchange import Exchange

HEAD_BYTES = 65_536


class Home(Protocol):
    """The pool that a connection belongs to."""

    @property
    def refusals_end(self) -> bool:
        """See ``client.Address``."""

    def made(self, connection: Connection) -> None: ...

    def freed(self, connection: Connection) -> None:
        """It may serve the next request."""

    def lost(self, connection: Connection) -> None: ...


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
            exchange.fail(UpstreamBroken(type(exc).__name__ if exc else "closed too soon"))

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
