"""The head of a request: what the parser takes, and what it takes that we do not.

The parser (llhttp) refuses what could be read in two ways: two lengths, a length beside a coding, bare
line feeds, folded lines. Here is the rest: sizes, versions, hosts, codings, bytes that are no text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httptools
from multidict import CIMultiDict, CIMultiDictProxy

MAX_HEAD_BYTES = 32_768
MAX_LINE_BYTES = 8_190
MAX_HEADERS = 128
EMPTY_LINE = b"\r\n\r\n"
_VERSIONS = {"1.1": (1, 1), "1.0": (1, 0)}


class Refused(Exception):
    """A head that is not served: ``status`` is the bare answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """``content_length`` is None when none is declared; ``chunked`` then says whether a body follows."""

    method: str
    target: str
    version: tuple[int, int]
    headers: CIMultiDictProxy[str]
    content_length: int | None
    chunked: bool
    keep_alive: bool


class HeadParser:
    """Parses one message; give it bytes up to the end of the head, later those of a chunked body.

    ``done`` is True once the head is whole, ``ended`` once the message is. ``take`` gets the pieces of a
    chunked body.
    """

    __slots__ = (
        "_fed",
        "_headers",
        "_keep_alive",
        "_parser",
        "_tail",
        "_target",
        "_version",
        "done",
        "ended",
        "take",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._fed = 0
        self._keep_alive, self._version = False, ""
        self.done = self.ended = False
        self._tail = b""
        self.take: Callable[[bytes], None] = _unexpected

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.done:  # what follows a chunked body is no header
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.done:
            # Later, outside this call, the parser has forgotten both.
            self._keep_alive = self._parser.should_keep_alive()
            self._version = self._parser.get_http_version()
            self.done = True

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        self.take(body)

    def on_message_complete(self) -> None:
        self.ended = True

    # What the connection calls.

    def boundary(self, data: bytes) -> int:
        """How many of these bytes to feed next: a head, and a chunked body, end only behind an empty line.

        So the parser is never given a byte of the next message, and it alone decides where this one ends.
        """
        seam = self._tail + data if self._tail else data
        found = seam.find(EMPTY_LINE)
        if found < 0:
            self._tail = seam[-3:]
            return len(data)
        end = found + len(EMPTY_LINE) - len(self._tail)
        self._tail = b""
        return end

    def feed(self, data: bytes) -> None:
        """Bytes of the head.

        Raises:
            Refused: 400, 431.
        """
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.ended, self._keep_alive = True, False  # judged by the head's own words
        except httptools.HttpParserError as error:
            raise Refused(400) from error
        if (
            self._fed > MAX_HEAD_BYTES
            or len(self._headers) > MAX_HEADERS
            or len(self._target) > MAX_LINE_BYTES
        ):
            raise Refused(431)

    def feed_body(self, data: bytes) -> None:
        """Bytes of a chunked body.

        Raises:
            httptools.HttpParserError: they are not framed as they should be, or what frames them has no end:
                the parser would gather a trailer for as long as it comes.
        """
        self._fed += len(data)
        self._parser.feed_data(data)
        if self._fed > MAX_HEAD_BYTES and not self.ended:
            raise httptools.HttpParserError("the framing has no end")

    def head(self) -> Head:
        """The head, once ``done``.

        Raises:
            Refused: 400, 431 or 501.
        """
        version = _VERSIONS.get(self._version)
        if version is None or not self._target:
            raise Refused(400)
        headers = CIMultiDictProxy(CIMultiDict(self._texts()))
        hosts = headers.getall("Host", ())
        if len(hosts) > 1 or (version == (1, 1) and not hosts):
            raise Refused(400)
        chunked = _chunked(headers, version)
        if "Upgrade" in headers:
            raise Refused(501)
        declared = headers.get("Content-Length")
        self._fed = 0  # from here on: bytes since the last piece of body
        return Head(
            self._parser.get_method().decode("ascii"),
            self._target.decode("utf-8", "surrogateescape"),
            version,
            headers,
            int(declared) if declared is not None else None,
            chunked,
            self._keep_alive and version == (1, 1),
        )

    def _texts(self) -> list[tuple[str, str]]:
        texts = []
        for name, value in self._headers:
            if len(name) + len(value) > MAX_LINE_BYTES:
                raise Refused(431)
            try:
                texts.append((name.decode("ascii"), value.decode()))
            except UnicodeDecodeError as error:  # it could only be forwarded without the odd bytes
                raise Refused(400) from error
        return texts


def _unexpected(_: bytes) -> None:
    """A body before the end of the head that we saw: two readings of one message."""
    raise Refused(400)


def _chunked(headers: CIMultiDictProxy[str], version: tuple[int, int]) -> bool:
    coding = headers.get("Transfer-Encoding")
    if coding is None:
        return False
    if version == (1, 0):
        raise Refused(400)
    if coding.strip().lower() != "chunked":
        raise Refused(501)
    return True
