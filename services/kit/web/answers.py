"""Answers: JSON, the one error form, and bodies that are made while they are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from services.kit.codec import encode
from services.kit.errors import ERROR_CODE, Fault
from services.kit.trail import TRAIL

JSON = "application/json"
JSON_HEADERS: Mapping[str, str] = {"Content-Type": JSON}
SERVER = "vaultbench"


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, headers={**JSON_HEADERS, **headers} if headers else JSON_HEADERS, body=encode(value)
    )


def error_response(fault: Fault, request_id: str) -> web.Response:
    """The one error form; the code is repeated in ``X-Error-Code`` so that nobody parses a body for it. A
    fault may name a narrower one there, which the gateway takes off."""
    headers = {ERROR_CODE: fault.code, **fault.headers}
    closes = headers.get("Connection", "").lower() == "close"
    response = json_response(fault.body(request_id), fault.status, headers)
    if closes:
        response.force_close()
    return response


def bare_response(status: int) -> web.Response:
    """For HTTP that cannot be served at all: no body, and the connection ends."""
    response = web.Response(status=status, headers={"Server": SERVER, "Connection": "close"})
    response.force_close()
    return response


class Streamed(web.StreamResponse):
    """An answer whose body comes piece by piece while it is sent, as a file's does.

    Args:
        source: gives the next piece, ``b""`` at the end.
        close: ends the source, whether or not everything was sent; called once at least.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        source: Callable[[], Awaitable[bytes]],
        close: Callable[[], None],
    ) -> None:
        super().__init__(status=status, headers=headers)
        self.source, self.close = source, close

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the whole answer.

        Raises:
            ConnectionError: the client left, or the source ended before the declared length.
            Exception: whatever the source raised; the answer is cut short.
        """
        if self.prepared:
            return None
        writer = await super().prepare(request)
        declared, trail = self.content_length, TRAIL.get()
        if request.method != "HEAD":
            while piece := await self.source():
                trail.sent_bytes += len(piece)
                await self.write(piece)
            if declared is not None and trail.sent_bytes != declared:
                raise ConnectionResetError("the answer is not as long as its head says")
        await self.write_eof()
        return writer
