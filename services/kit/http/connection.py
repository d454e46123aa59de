"""One client connection: requests one after another, each served by a task of its own.

The head goes through the parser up to its last byte and no further. A body of known length then
bypasses the parser: its bytes are counted and handed on as they came. What follows belongs to the
next request and waits. Time limits are one number per connection, looked at by the server's sweeper.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httptools

from services.kit.http.body import ArrivingBody, Flow
from services.kit.http.head import Head, HeadParser, Refused
from services.kit.http.message import BodyIdleError, MalformedBody, Request, Response
from services.kit.http.render import CONTINUE, bare
from services.kit.http.writing import NEVER, Phase, Writing

if TYPE_CHECKING:
    from services.kit.http.server import Server

PIPELINED_BYTES = 32_768
KEPT_REST_BYTES = 65_536  # an unread rest up to this is taken in, so that the connection lives on
DISCARD_BYTES = 1024 * 1024


class Connection(Writing, asyncio.Protocol):
    """See the module. ``due_at`` and ``phase`` belong to the sweeper: when it is late, and for what."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.limits, server.loop)
        self._server = server
        self._rest = b""  # bytes of a head that is not whole, or of the next request
        self._parser: HeadParser | None = None
        self._body: ArrivingBody | None = None
        self._left = 0  # bytes of body still to come, when the length is known
        self._head: Head | None = None
        self._task: asyncio.Task[None] | None = None
        self._awaits_continue = False
        self._reading = True
        self.peer = ""

    # Life.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self._server.opened(self)
        self.wait_for(Phase.IDLE, self.limits.idle_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.closed(self)
        self.due_at = NEVER
        self.lost()
        if self._body is not None:
            self._body.fail(ConnectionResetError("the client left"))
        if self._task is not None and self.limits.cancels:
            self._task.cancel()

    @property
    def idle(self) -> bool:
        """Nothing is being served and nothing has begun."""
        return self._task is None and not self._rest

    def cut(self) -> None:
        """The time to drain is over."""
        if self._task is not None:
            self._task.cancel()
        self.transport.abort()

    def expired(self) -> None:
        """The sweeper found this connection late."""
        self.due_at = NEVER
        match self.phase:
            case Phase.BODY if self._body is not None:
                self._body.fail(BodyIdleError())
            case Phase.WRITE | Phase.SOURCE:
                self.stalled(self._task)
            case _:
                self.transport.abort()

    # Bytes in.

    def data_received(self, data: bytes) -> None:
        if self._task is None:
            self._rest = self._rest + data if self._rest else data
            self._next()
        elif self._left:
            self._counted(data)
        elif self._body is not None and not self._body.is_eof():
            self._parsed(data)
        else:
            self._rest += data
            if len(self._rest) > PIPELINED_BYTES:
                self._pause()

    def eof_received(self) -> None:
        """A client that closes its sending half counts as gone; None closes the connection."""

    def _next(self) -> None:
        """Take the head of the next request out of ``_rest``, if it is there."""
        while self._rest and self._task is None and not self.transport.is_closing():
            parser = self._parser or HeadParser()
            if self._parser is None:
                self._parser = parser
                self.wait_for(Phase.HEAD, self.limits.head_s)
            end = parser.boundary(self._rest)
            part, self._rest = self._rest[:end], self._rest[end:]
            try:
                parser.feed(part)
                if parser.done:
                    self._begin(parser.head(), parser)
            except Refused as refused:
                self._refuse(refused.status)
                return

    def _refuse(self, status: int) -> None:
        self._server.malformed(status)
        self.transport.write(bare(status))
        self._rest = b""
        self.transport.close()

    def _begin(self, head: Head, parser: HeadParser) -> None:
        body = ArrivingBody(Flow(self._pause, self._resume, self._reader_waits))
        self._head, self._body, self._parser = head, body, None
        self._left = head.content_length or 0
        if head.chunked:
            self._parser = parser
            parser.take = body.feed
        elif not self._left:
            body.end()
        self._awaits_continue = (
            head.version == (1, 1)
            and not body.is_eof()
            and not self._rest
            and head.headers.get("Expect", "").lower() == "100-continue"
        )
        request = Request(
            head.method, head.target, head.version, head.headers, body, head.content_length, self.peer, self
        )
        self.due_at = NEVER
        self._task = self.loop.create_task(self._serve(request))
        rest, self._rest = self._rest, b""
        if rest:
            self.data_received(rest)

    def _counted(self, data: bytes) -> None:
        body, size = self._body, len(data)
        if body is None:
            return
        if size > self._left:
            self._rest += data[self._left :]
            data = data[: self._left]
            size = self._left
        self._left -= size
        body.feed(data)
        if not self._left:
            body.end()

    def _parsed(self, data: bytes) -> None:
        """A chunked body, whose end only the parser knows."""
        body, parser = self._body, self._parser
        if body is None or parser is None:
            return
        while data and not parser.ended:
            end = parser.boundary(data)
            try:
                parser.feed_body(data[:end])
            except httptools.HttpParserError:
                self._parser = None  # it gets no byte more
                body.fail(MalformedBody())
                return
            data = data[end:]
        if parser.ended:
            self._rest += data
            body.end()

    def _pause(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def _reader_waits(self, waits: bool) -> None:
        if self.phase is Phase.DISCARD:
            return
        if waits:
            if self._awaits_continue and not self.transport.is_closing():
                self._awaits_continue = False
                self.transport.write(CONTINUE)
            self.wait_for(Phase.BODY, self.limits.body_idle_s)
        elif self.phase is Phase.BODY:
            self.due_at = NEVER

    # One request.

    async def _serve(self, request: Request) -> None:
        try:
            await self._server.handler(request)
        except (asyncio.CancelledError, ConnectionError):
            self.transport.abort()
            return
        except BaseException:
            self.transport.abort()
            raise
        await self._after()

    def ends(self, request: Request, response: Response) -> bool:
        """Whether the connection ends after this answer; decided when its head is written."""
        head = self._head
        return (
            response.close
            or head is None
            or not head.keep_alive
            or self._server.draining
            or self._rest_is_large(request)
        )

    def _rest_is_large(self, request: Request) -> bool:
        """Whether so much of the body is still to come that it is cheaper to give the connection up."""
        if request.content.is_eof():
            return False
        return self._awaits_continue or request.content_length is None or self._left > KEPT_REST_BYTES

    async def _after(self) -> None:
        """The answer is out: on to the next request, or to the end."""
        body = self._body
        if not self.answered or self.transport.is_closing():
            self.transport.abort()
            return
        if body is not None and not body.is_eof():
            await self._discard(body)
        if self.closes or self._server.leaving or body is None or not body.is_eof():
            self.transport.close()
            return
        self._task = self._body = self._head = self._parser = None
        self.answered = False
        self.wait_for(Phase.IDLE, self.limits.idle_s)
        self._resume()
        if self._rest:
            self._next()

    async def _discard(self, body: ArrivingBody) -> None:
        """Take the rest of an unread body for a moment, so that the answer is not lost to a reset."""
        if self._awaits_continue:
            return
        started = body.total_bytes
        self.wait_for(Phase.DISCARD, self.limits.linger_s)
        try:
            if self.closes and self.transport.can_write_eof():
                self.transport.write_eof()
            while body.total_bytes - started < DISCARD_BYTES and await body.readany():
                pass
        except (BodyIdleError, MalformedBody, OSError):
            pass
