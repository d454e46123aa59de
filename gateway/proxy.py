"""Forwards one request to the service behind it and brings the answer back, both streamed."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDict

from gateway.connection import release
from gateway.context import RequestContext
from gateway.headers import Injector, to_client
from gateway.pools import Pool
from gateway.routes import Entry
from services.kit.client import UpstreamError, UpstreamTimeout
from services.kit.errors import ERROR_CODE, STATUS, Fault
from services.kit.upstream import Body, CircuitOpen, Incoming
from services.kit.web.answers import JSON, Streamed, error_response
from services.kit.web.body import Arriving, BodyStalled, Pace, small, timeout_fault

BUFFERED_BYTES = 65_536
STREAMED = frozenset({"raw", "form"})
_CODE_OF_STATUS: Mapping[int, str] = {
    400: "invalid_json",
    403: "forbidden",
    404: "route_not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    411: "length_required",
    413: "body_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "rate_limited",
    500: "internal_error",
    503: "dependency_unavailable",
    504: "deadline_exceeded",
}


def _unavailable() -> Fault:
    return Fault("upstream_unavailable", "The service behind the gateway did not answer.")


class Proxy:
    """The last step: header injection, deadline and the exchange with the service."""

    def __init__(self, pools: Mapping[str, Pool], injector: Injector, pace: Pace) -> None:
        self._pools = pools
        self._injector = injector
        self._pace = pace

    async def forward(self, context: RequestContext, entry: Entry) -> web.StreamResponse:
        """The service's answer; its body may still be on its way.

        Raises:
            Fault: ``upstream_unavailable``, ``deadline_exceeded``, or what is wrong with the body.
        """
        request = context.request
        body: bytes | Body | None = context.body
        if body is None:
            release(request)
            body = Body(Arriving(request, self._pace), request.content_length)
        incoming = await self._open(context, entry, body)
        try:
            return await _answer(incoming, context)
        except UpstreamError as error:
            raise _unavailable() from error
        except BaseException:
            incoming.close()
            raise

    async def small_body(self, entry: Entry, request: web.BaseRequest) -> bytes | None:
        """A small body whole, so that it leaves in one write with the head; None for one that is streamed.

        Raises:
            Fault: what is wrong with the body.
        """
        length = request.content_length
        if entry.route.body == "raw" and length is None:
            raise Fault("length_required", "This route needs a Content-Length.")
        if entry.route.body in STREAMED and (length is None or length > BUFFERED_BYTES):
            return None
        release(request)
        return await small(request, self._pace)

    async def _open(self, context: RequestContext, entry: Entry, body: bytes | Body) -> Incoming:
        deadline_s = entry.route.deadline_s
        headers = self._injector.headers(context, entry.service, deadline_s)
        target = f"{context.path}?{context.query}" if context.query else context.path
        upstream = self._pools[entry.service].front
        try:
            return await upstream.open(
                context.method,
                target,
                headers,
                body,
                timeout_s=deadline_s,
                stall_s=self._pace.idle_s,
                counted=not entry.route.health,
            )
        except BodyStalled as error:
            raise timeout_fault() from error
        except CircuitOpen as error:
            raise Fault(
                "circuit_open",
                "The service behind the gateway has failed too often and is left alone for a while.",
                headers={"Retry-After": str(error.retry_after_s)},
            ) from error
        except UpstreamTimeout as error:
            raise Fault("deadline_exceeded", "The service did not answer in time.") from error
        except UpstreamError as error:
            raise _unavailable() from error


async def _answer(incoming: Incoming, context: RequestContext) -> web.StreamResponse:
    status = incoming.status
    if status in {101, 401}:  # nothing was upgraded; only the gateway judges users' tokens
        incoming.close()
        raise _unavailable()
    if status >= 400 and not incoming.headers.get("Content-Type", "").startswith(JSON):
        incoming.close()
        return _replaced(status, context.trail.request_id)
    context.trail.error = incoming.headers.get(ERROR_CODE)
    length, headers = _length(incoming, context.method), to_client(incoming.headers)
    _declare_length(headers, incoming, context.method)
    if length is None or length > BUFFERED_BYTES:
        return Streamed(status, headers, _Rest(incoming).read, incoming.close)
    body = await incoming.read()
    incoming.close()
    return web.Response(status=status, headers=headers, body=body)


class _Rest:
    """The body of a service's answer that is still on its way."""

    __slots__ = ("_incoming",)

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    async def read(self) -> bytes:
        try:
            return await self._incoming.read_some()
        except UpstreamError as error:
            raise _unavailable() from error


def _length(incoming: Incoming, method: str) -> int | None:
    """Bytes of body that follow, None when only the end of the stream will tell."""
    if method == "HEAD" or incoming.status in {204, 304}:
        return 0
    declared = incoming.headers.get("Content-Length")
    return int(declared) if declared is not None else None


def _declare_length(headers: CIMultiDict[str], incoming: Incoming, method: str) -> None:
    declared = incoming.headers.get("Content-Length")
    if declared is not None and (method == "HEAD" or incoming.status not in {204, 304}):
        headers["Content-Length"] = str(int(declared))


def _replaced(status: int, request_id: str) -> web.Response:
    code = _CODE_OF_STATUS.get(status, "upstream_unavailable")
    fault = Fault(code, "The service behind the gateway refused the request.")
    response = error_response(fault, request_id)
    if status in STATUS.values():
        response.set_status(status)
    return response
