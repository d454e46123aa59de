"""The rest of a body that nobody will read: an answer before its end must reach the client all the same.

A client that is still sending would meet a reset, which can swallow the answer: its next write fails before
it has read. So the connection is closed for writing only, and some of the rest is taken, before it ends: the
first of it as fast as it comes, what follows slowly, until the client has seen the answer and stops.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from services.kit.web.body import awaits_continue

KEPT_BYTES = 65_536  # a rest up to this is taken by the server, and the connection is used again
DISCARD_BYTES = 1024 * 1024  # after these the rest is taken slowly
PAUSE_S = 0.05  # between two reads of it
LINGER_S = 2.0


def ends_connection(request: web.BaseRequest) -> bool:
    """Whether so much of the body is still to come that it is cheaper to give the connection up."""
    content, length = request.content, request.content_length
    if content.is_eof():
        return False
    return length is None or length - content.total_bytes > KEPT_BYTES or awaits_continue(request)


async def send_early(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Send an answer after which the connection ends, though the request has not.

    Raises:
        ConnectionError: the client left.
    """
    await response.prepare(request)
    await response.write_eof()


async def end_connection(request: web.BaseRequest) -> None:
    """Close for writing, take what the client cannot keep back any more, and close.

    The rest passes by the parser, so that no framing makes it dearer than its bytes.
    """
    protocol, transport = request.protocol, request.transport
    if transport is not None and not transport.is_closing() and not awaits_continue(request):
        rest = _Rest(transport)
        transport.set_protocol(rest)
        transport.resume_reading()  # the server pauses a body that nobody reads
        if transport.can_write_eof():
            transport.write_eof()
        try:
            await rest.over()
        finally:
            transport.set_protocol(protocol)
        if rest.lost:
            protocol.connection_lost(rest.error)
    protocol.force_close()


class _Rest(asyncio.Protocol):
    """Counts bytes and forgets them; after so many it takes them slowly."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()
        self._left_bytes = DISCARD_BYTES
        self._end = self._loop.create_future()
        self.lost = False
        self.error: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes <= 0 and not self._end.done():
            self._transport.pause_reading()
            self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if not self._end.done() and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost, self.error = True, exc
        self._ended()

    def _ended(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    async def over(self) -> None:
        """Return when the client has ended, or was waited for long enough."""
        await asyncio.wait((self._end,), timeout=LINGER_S)
        self._ended()
