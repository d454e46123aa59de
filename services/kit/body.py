"""Request bodies: whole when small, streamed when not, never idle for ever."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from services.kit.codec import MAX_JSON_BYTES, decode
from services.kit.errors import Fault
from services.kit.http.message import BodyIdleError, Request


def timeout_fault() -> Fault:
    return Fault("request_timeout", "The request body made no progress.", headers={"Connection": "close"})


async def pieces(request: Request) -> AsyncGenerator[bytes, None]:
    """The body as it arrives.

    Raises:
        Fault: ``request_timeout`` when nothing arrives for the server's time limit.
        ConnectionError: the client left.
    """
    read = request.content.readany
    try:
        while data := await read():
            yield data
            del data  # nothing is kept while the next piece is waited for
    except BodyIdleError as error:
        raise timeout_fault() from error


async def small(request: Request, maximum: int = MAX_JSON_BYTES) -> bytes:
    """The whole body, at most ``maximum`` bytes.

    Raises:
        Fault: ``body_too_large``, ``unsupported_media_type`` or ``request_timeout``.
    """
    refuse_encoding(request)
    too_large = request.content_length is not None and request.content_length > maximum
    received = b""
    if request.has_body and not too_large:
        async for piece in pieces(request):
            received = received + piece if received else piece
            too_large = len(received) > maximum
            if too_large or len(received) == request.content_length:
                break
    if too_large:
        raise Fault("body_too_large", f"The body may hold at most {maximum} bytes.")
    return received


def refuse_encoding(request: Request) -> None:
    """A body is taken as it is: any coding but ``identity`` is 415."""
    coding = request.headers.get("Content-Encoding")
    if coding is not None and coding.strip().lower() not in {"", "identity"}:
        raise Fault("unsupported_media_type", "A Content-Encoding is not supported.")


async def json_value(request: Request) -> object:
    """The body as one JSON value; see ``codec.decode`` for what is refused."""
    value: object = decode(await small(request))
    return value
