"""Forms (``multipart/form-data``) read part by part, in bounded memory.

aiohttp's reader finds the parts; the bytes come to it through ``Arriving``, so that a form is as little
idle as any other body. What the reader leaves open is bounded here: the bytes and the lines of a whole
form. Names are read by the standard library, because aiohttp's own splits them at semicolons.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Awaitable
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Self, TypeVar, cast

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.multipart import BadContentDispositionHeader, BadContentDispositionParam

from services.kit.errors import Fault
from services.kit.web.body import Arriving, BodyStalled, Pace, timeout_fault

FORM = "multipart/form-data"
PIECE_BYTES = 65_536
LINE_BYTES = 8_190
MAX_LINES = 4_096  # of boundaries and headers: a form of a hundred files has about a thousand
OVERHEAD_BYTES = 1024 * 1024  # what a form may have around its files
MAX_TEXT_BYTES = 4_096
_PLAIN_CODINGS = frozenset({"binary", "8bit", "7bit"})
T = TypeVar("T")


class FormFault(Fault):
    """What is wrong with the form itself, whatever its files are."""


def invalid_form(message: str) -> FormFault:
    return FormFault("invalid_form", message)


def let_headers_be_wrong() -> None:
    """aiohttp warns of each odd header of a part, with its text: names do not belong into logs."""
    for category in (BadContentDispositionHeader, BadContentDispositionParam):
        warnings.filterwarnings("ignore", category=category)


class _Content:
    """The part of aiohttp's ``StreamReader`` that its form reader uses."""

    def __init__(self, body: Arriving, max_bytes: int) -> None:
        self._body, self._max_bytes = body, max_bytes
        self._left_bytes, self._left_lines = max_bytes, MAX_LINES
        self._held = b""
        self._ended = False

    async def _more(self) -> bytes:
        try:
            data = await self._body.read()
        except BodyStalled as error:
            fault = timeout_fault()
            raise FormFault(fault.code, fault.message, headers=fault.headers) from error
        except web.RequestPayloadError as error:
            raise FormFault(
                "invalid_form", "The form is not framed as its head says.", headers={"Connection": "close"}
            ) from error
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise FormFault("body_too_large", f"The form may have at most {self._max_bytes} bytes.")
        self._ended = not data
        return data

    async def read(self, size: int) -> bytes:
        data = self._held or await self._more()
        self._held = data[size:]
        return data[:size]

    async def readline(self, *, max_line_length: int = LINE_BYTES) -> bytes:
        self._left_lines -= 1
        if self._left_lines < 0:
            raise ValueError("too many lines")
        line, self._held = self._held, b""
        while (end := line.find(b"\n", 0, max_line_length + 2) + 1) == 0:
            if len(line) > max_line_length:
                raise ValueError("a line is too long")
            more = await self._more()
            if not more:
                return line
            line += more
        self._held = line[end:]
        return line[:end]

    def unread_data(self, data: bytes) -> None:
        self._held = data + self._held

    def at_eof(self) -> bool:
        return self._ended and not self._held


async def _parsed(call: Awaitable[T]) -> T:
    """The reader has no error of its own: whatever it raises over bytes that are not a form means that."""
    try:
        return await call
    except (Fault, ConnectionError):
        raise
    except Exception as error:
        raise invalid_form("The form is malformed.") from error


class FormPart:
    """One field; ``file_name`` is None for a text field. Read it before the next part is asked for."""

    def __init__(self, name: str, file_name: str | None, reader: BodyPartReader) -> None:
        self.name, self.file_name, self._reader = name, file_name, reader

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Raises FormFault: the form is malformed, too large, or stands still."""
        reader = self._reader
        while not reader.at_eof():
            data = await _parsed(reader.read_chunk(PIECE_BYTES))
            if data:
                yield data
            del data  # nothing is kept while the next piece is waited for

    async def text(self) -> str:
        """A small text field."""
        content = b""
        async for data in self.pieces():
            content += data
            if len(content) > MAX_TEXT_BYTES:
                raise invalid_form(f"A text field may have at most {MAX_TEXT_BYTES} bytes.")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise invalid_form("A text field is not UTF-8.") from error


class Form:
    """The parts of a request's form, one after the other; nothing more is read when its block ends.

    Args:
        pace: how slowly the client may send it.
        max_bytes: of all files together.

    Raises:
        Fault: ``unsupported_media_type`` for any other content; ``body_too_large`` by its head alone.
        FormFault: it names no boundary.
    """

    def __init__(self, request: web.BaseRequest, pace: Pace, max_bytes: int) -> None:
        if not is_form(request):
            raise Fault("unsupported_media_type", f"This route takes {FORM}.")
        allowed_bytes = max_bytes + OVERHEAD_BYTES
        if (request.content_length or 0) > allowed_bytes:
            raise FormFault("body_too_large", f"The form may have at most {allowed_bytes} bytes.")
        self._body = Arriving(request, pace)
        content = cast(StreamReader, _Content(self._body, allowed_bytes))
        try:
            self._reader = MultipartReader(request.headers, content, max_field_size=LINE_BYTES)
        except ValueError as error:
            raise invalid_form("The form names no usable boundary.") from error

    async def next(self) -> FormPart | None:
        """The next part; what is left of the one before is skipped. None at the end.

        Raises:
            FormFault: see ``FormPart.pieces``.
        """
        reader = await _parsed(self._reader.next())
        if reader is None:
            return None
        if not isinstance(reader, BodyPartReader):
            raise invalid_form("A form must not hold another one.")
        if reader.headers.get("Content-Transfer-Encoding", "binary").lower() not in _PLAIN_CODINGS:
            raise invalid_form("A part must be sent as it is.")
        name, file_name = _names(reader)
        return FormPart(name, file_name, reader)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._body.close()


def is_form(request: web.BaseRequest) -> bool:
    return request.content_type == FORM


def _names(reader: BodyPartReader) -> tuple[str, str | None]:
    """Name and file name of a part."""
    headers = reader.headers.getall("Content-Disposition", ())
    if len(headers) != 1:
        raise invalid_form("Each part needs one Content-Disposition.")
    try:
        headers[0].encode("utf-8")
    except UnicodeEncodeError as error:
        raise invalid_form("A name is not UTF-8.") from error
    message = Message()
    message["Content-Disposition"] = headers[0]
    try:
        name = collapse_rfc2231_value(message.get_param("name", "", "content-disposition"))
        kind, file_name = message.get_content_disposition(), message.get_filename()
        f"{name}{file_name}".encode()  # a charset that it names itself may hold what no answer can
    except (ValueError, LookupError, TypeError) as error:
        raise invalid_form("The names of a part cannot be read.") from error
    if kind != "form-data" or not name:
        raise invalid_form("Each part needs the name of its field.")
    return name, file_name
