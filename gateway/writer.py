"""Writes an answer to the client, in bounded memory and never for ever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from gateway.message import Answer
from services.kit.exchange import Guard
from services.kit.metrics import CLIENT_GONE
from services.kit.upstream import Incoming, UpstreamTimeout

DISCARD_BYTES = 1024 * 1024
DISCARD_S = 2.0


class ClientStalled(Exception):
    """The client takes no bytes."""


@dataclass(slots=True)
class Outcome:
    """How a request ended, for log and metrics; a client that left until proven otherwise."""

    status: int = CLIENT_GONE
    error: str | None = None
    bytes_out: int = 0


async def write(
    request: web.BaseRequest, answer: Answer, idle_s: float, outcome: Outcome
) -> web.StreamResponse:
    """Send ``answer`` and note in ``outcome`` what the client got.

    Raises:
        ClientStalled: the client took nothing for ``idle_s``.
        UpstreamError: the service's answer ended too soon or stood still.
        ConnectionError: the client left.
    """
    if answer.stream is not None:
        return await _stream(request, answer, answer.stream, idle_s, outcome)
    response = web.Response(body=answer.body, status=answer.status, headers=answer.headers)
    if answer.close:
        response.force_close()
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client left")
    timer = asyncio.get_running_loop().call_later(idle_s, transport.abort)
    try:
        await response.prepare(request)
        await response.write_eof()
    finally:
        timer.cancel()
    outcome.status, outcome.error = answer.status, answer.error
    outcome.bytes_out = 0 if request.method == "HEAD" else len(answer.body)
    return response


async def _stream(
    request: web.BaseRequest, answer: Answer, stream: Incoming, idle_s: float, outcome: Outcome
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    if answer.close:
        response.force_close()
    guard = Guard()
    guard.watch(
        idle_s,
        reading=UpstreamTimeout("the answer made no progress"),
        writing=ClientStalled("the client takes no bytes"),
    )
    try:
        await response.prepare(request)
        while piece := await stream.read_some():
            guard.progress(reading=False)
            await response.write(piece)
            outcome.bytes_out += len(piece)
            guard.progress(reading=True)
        await response.write_eof()
    except asyncio.CancelledError:
        guard.translate()
        raise
    finally:
        guard.stop()
        stream.close()
    outcome.status, outcome.error = answer.status, answer.error
    return response


async def discard(request: web.BaseRequest) -> None:
    """Take the rest of an unread body for a moment, so that the answer is not lost to a reset; then close."""
    transport, left = request.transport, DISCARD_BYTES
    if transport is not None and transport.can_write_eof():
        transport.write_eof()
    try:
        async with asyncio.timeout(DISCARD_S):
            while left > 0 and (piece := await request.content.readany()):
                left -= len(piece)
    except Exception:  # noqa: BLE001, S110 - the answer is out; how the rest of the body fails tells nothing
        pass
