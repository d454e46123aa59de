"""What surrounds every request: limits of its head, security headers, and the account of it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import HttpVersion10, HttpVersion11, web

from gateway.connection import HEAD_BYTES
from gateway.context import CONTEXT, RequestContext
from gateway.limits import Proxies
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from services.kit.clock import World
from services.kit.errors import ERROR_CODE
from services.kit.log import Log
from services.kit.trail import TRAIL, Trail
from services.kit.web.answers import bare_response
from services.kit.web.boundary import Boundary

VERSIONS = (HttpVersion10, HttpVersion11)
_LINE_OVERHEAD_BYTES = 4  # ": " and the end of the line


class Gateway(Boundary):
    """Steps 1 to 3 of the pipeline, around the others."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        metrics: Metrics,
        log: Log,
        world: World,
        proxies: Proxies,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(metrics.http, log, world)
        self.pipeline, self._metrics = pipeline, metrics
        self._proxies, self._headers = proxies, headers

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        return await self.serve(request, self._steps)

    async def _steps(self, request: web.BaseRequest) -> web.StreamResponse:
        headers, peer = request.headers, request.remote or ""
        client = self._proxies.client(peer, headers.getall("X-Forwarded-For", ()))
        context = request[CONTEXT] = RequestContext(request, TRAIL.get(), peer, client)
        if refused := _refusal(request):
            return bare_response(refused)
        return await self.pipeline.answer(context)

    def dress(self, request: web.BaseRequest, response: web.StreamResponse, trail: Trail) -> None:
        super().dress(request, response, trail)
        headers = response.headers
        headers.update(self._headers)
        headers.update(request[CONTEXT].cors)
        headers.popall(ERROR_CODE, None)

    def over(self, request: web.BaseRequest) -> None:
        context = request.get(CONTEXT)
        if context is None:
            return
        if context.sender is not None:
            self.pipeline.admission.end_body(context.sender)
            context.sender = None
        if context.admitted:
            context.admitted = False
            self.pipeline.admission.leave()

    def count_bytes(self, bytes_in: int, bytes_out: int) -> None:
        if bytes_in:
            self._metrics.bytes_in.inc(bytes_in)
        if bytes_out:
            self._metrics.bytes_out.inc(bytes_out)


def _refusal(request: web.BaseRequest) -> int:
    """The status for a head that is HTTP but not one that is served; 0 for any other."""
    hosts = request.headers.getall("Host", ())
    if request.version not in VERSIONS or (len(hosts) != 1 and (hosts or request.version != HttpVersion10)):
        return 400
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and (request.version == HttpVersion10 or coding.strip().lower() != "chunked"):
        return 400 if request.version == HttpVersion10 else 501
    size = len(request.raw_path)
    for name, value in request.raw_headers:
        size += len(name) + len(value) + _LINE_OVERHEAD_BYTES
        if not value.isascii() and not _is_utf8(value):
            return 400
    return 431 if size > HEAD_BYTES else 0


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
