"""One request of the server on aiohttp: the library's request as ours, our answer as the library's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.hdrs import CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SERVER
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestPayloadError
from multidict import CIMultiDict

from services.kit.http.connection import DISCARD_BYTES, KEPT_REST_BYTES
from services.kit.http.head import MAX_HEAD_BYTES, MAX_LINE_BYTES
from services.kit.http.message import BodyIdleError, MalformedBody, Request, Response, SourceStalled
from services.kit.http.render import BODILESS, CONTINUE

if TYPE_CHECKING:
    from services.kit.http.server_aiohttp import AiohttpServer

_LINE_OVERHEAD_BYTES = 4  # ": " and the end of the line
_OWN_HEADERS = (CONTENT_TYPE, SERVER)  # the library adds them where nobody set them


def refusal_of(request: web.BaseRequest) -> int:
    """The status for what the library's parser takes and we do not; 0 when there is nothing of it."""
    headers, version = request.headers, request.version
    hosts = headers.getall("Host", ())
    if version not in (HttpVersion11, HttpVersion10) or len(hosts) > 1:
        return 400
    if not hosts and version == HttpVersion11:
        return 400
    size = len(request._message.path)
    for name, value in request.raw_headers:
        if len(name) + len(value) > MAX_LINE_BYTES:
            return 431
        size += len(name) + len(value) + _LINE_OVERHEAD_BYTES
        if not value.isascii() and not _is_utf8(value):
            return 400
    return 431 if size > MAX_HEAD_BYTES else _coding_refusal(request)


def _coding_refusal(request: web.BaseRequest) -> int:
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and request.version == HttpVersion10:
        return 400
    if coding is not None and coding.strip().lower() != "chunked":
        return 501
    return 501 if "Upgrade" in request.headers else 0


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Answer(web.StreamResponse):
    """The library's answer without the headers it would add by itself."""

    def __init__(self, status: int, headers: CIMultiDict[str], *, closes: bool, head_first: bool) -> None:
        super().__init__(status=status, headers=headers)
        self._send_headers_immediately = head_first
        if closes:
            self.force_close()

    async def _prepare_headers(self) -> None:
        headers = self.headers
        added = [name for name in _OWN_HEADERS if name not in headers]
        await super()._prepare_headers()
        for name in added:
            headers.popall(name, None)
        if not self.keep_alive:
            headers[CONNECTION] = "close"

    async def _write_headers(self) -> None:
        """The library would repeat the version of the request; ours answers with the one it speaks."""
        writer = self._payload_writer
        if writer is not None:
            await writer.write_headers(f"HTTP/1.1 {self.status} {self.reason}", self.headers)
            if self._send_headers_immediately:
                writer.send_headers()


def bare(status: int) -> web.StreamResponse:
    """The answer to what is not HTTP as we speak it: no body, and the connection ends."""
    headers = CIMultiDict({"Server": "vaultbench", "Content-Length": "0"})
    return _Answer(status, headers, closes=True, head_first=False)


class _Content:
    """See ``message.Content``."""

    __slots__ = ("_idle_s", "_stream", "_wire", "awaits_continue")

    def __init__(self, given: web.BaseRequest, wire: Any, idle_s: float) -> None:
        self._stream: StreamReader = given.content
        self._wire, self._idle_s = wire, idle_s
        self.awaits_continue = (
            given.version == HttpVersion11
            and not self._stream.is_eof()
            and not self._stream.total_bytes
            and given.headers.get("Expect", "").lower() == "100-continue"
        )

    @property
    def total_bytes(self) -> int:
        return self._stream.total_bytes

    def is_eof(self) -> bool:
        return self._stream.is_eof()

    def at_eof(self) -> bool:
        return self._stream.at_eof()

    async def readany(self) -> bytes:
        stream = self._stream
        if stream.at_eof():
            return b""
        if stream._buffer:  # also when the client has left since: what it sent has arrived
            return stream._read_nowait(-1)
        if self.awaits_continue:
            self.awaits_continue = False
            self._wire.write(CONTINUE)
        return await self._waited(stream)

    async def _waited(self, stream: StreamReader) -> bytes:
        limit = asyncio.timeout(self._idle_s)
        try:
            async with limit:
                return await stream.readany()
        except RequestPayloadError as error:
            raise MalformedBody from error
        except Exception as error:
            if limit.expired():
                raise BodyIdleError from error
            raise ConnectionResetError("the client left") from error


class Exchange:
    """One request and its answer; see ``message.Carrier``. ``closes`` is known once the answer has begun."""

    def __init__(self, server: AiohttpServer, given: web.BaseRequest, wire: Any) -> None:
        self._server, self._given, self._wire = server, given, wire
        self._content = _Content(given, wire, server.limits.body_idle_s)
        self._answer: _Answer | None = None
        self.closes = True

    def request(self) -> Request:
        given, message = self._given, self._given._message
        peer = self._wire.get_extra_info("peername")
        return Request(
            message.method,
            message.path,
            (message.version.major, message.version.minor),
            message.headers,
            self._content,
            given.content_length,
            str(peer[0]) if peer else "",
            self,
        )

    def connected(self) -> bool:
        return not self._wire.is_closing()

    def abort(self) -> None:
        self._wire.abort()

    async def respond(self, request: Request, response: Response) -> None:
        if not self.connected():
            raise ConnectionResetError("the client left")
        self.closes = self._ends(request, response)
        with_body = request.method != "HEAD" and response.status not in BODILESS
        stream = response.stream if with_body else None
        headers = CIMultiDict(response.headers)
        if response.stream is None and response.status not in BODILESS:
            headers.setdefault(CONTENT_LENGTH, str(len(response.body)))
        answer = _Answer(response.status, headers, closes=self.closes, head_first=stream is not None)
        self._answer = answer
        await self._prepare(answer)
        if stream is not None:
            await self._stream(request, answer, stream)
            return
        body = response.body if with_body else b""
        request.sent_bytes = len(body)
        await answer.write_eof(body)

    def _ends(self, request: Request, response: Response) -> bool:
        return (
            response.close
            or not self._given.keep_alive
            or request.version != (1, 1)
            or self._server.draining
            or self._rest_is_large(request)
        )

    def _rest_is_large(self, request: Request) -> bool:
        """Whether so much of the body is still to come that it is cheaper to give the connection up."""
        if self._content.is_eof():
            return False
        length = request.content_length
        unread = length is None or length - self._content.total_bytes > KEPT_REST_BYTES
        return unread or self._content.awaits_continue

    async def _prepare(self, answer: _Answer) -> None:
        try:
            await answer.prepare(self._given)
        except ValueError as error:
            raise ValueError("a header holds a line break or another control character") from error

    async def _stream(
        self, request: Request, answer: _Answer, source: Callable[[], Awaitable[bytes]]
    ) -> None:
        declared = answer.headers.get(CONTENT_LENGTH)
        while piece := await self._piece(source):
            request.sent_bytes += len(piece)
            await answer.write(piece)
        if declared is not None and request.sent_bytes != int(declared):
            raise ConnectionResetError("the answer is not as long as its head says")
        await answer.write_eof()

    async def _piece(self, source: Callable[[], Awaitable[bytes]]) -> bytes:
        limit = asyncio.timeout(self._server.limits.body_idle_s)
        try:
            async with limit:
                return await source()
        except TimeoutError as error:
            if limit.expired():
                raise SourceStalled from error
            raise

    async def finished(self) -> web.StreamResponse:
        """The answer, once it is out and the rest of the body is dealt with.

        Raises:
            ConnectionError: there is no answer.
        """
        answer = self._answer
        if answer is None or not self.connected():
            raise ConnectionResetError("there is no answer")
        if not self._content.is_eof():
            await self._discard()
        self.closes = self.closes or not self._content.is_eof()
        return answer

    async def _discard(self) -> None:
        """Take the rest of an unread body for a moment, so that the answer is not lost to a reset."""
        content = self._content
        if content.awaits_continue:
            return
        started = content.total_bytes
        try:
            if self.closes and self._wire.can_write_eof():
                self._wire.write_eof()
            async with asyncio.timeout(self._server.limits.linger_s):
                while content.total_bytes - started < DISCARD_BYTES and await content.readany():
                    pass
        except (
            OSError,
            BodyIdleError,
            MalformedBody,
        ):  # also when its time is over, and when nobody is there
            pass
