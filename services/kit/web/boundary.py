"""What surrounds every request of a process: one boundary.

It gives each request its id, turns every fault into the one error form, and then counts and logs the
request: one place, when its answer is ready or, if that is streamed or early, sent; also when a handler
raises or the client leaves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import NamedTuple, TypeVar

from aiohttp import web

from services.kit.clock import World
from services.kit.codec import is_uuid
from services.kit.errors import ERROR_CODE, Fault
from services.kit.log import Log
from services.kit.metrics import CLIENT_GONE, HttpMetrics
from services.kit.trail import TRAIL, Trail
from services.kit.web.answers import SERVER, Streamed, bare_response, error_response
from services.kit.web.rest import end_connection, ends_connection, send_early

R = TypeVar("R", bound=web.BaseRequest)
REQUEST_ID = "X-Request-Id"
_UNEXPECTED = Fault("internal_error", "Something went wrong on our side.")


def request_id_of(request: web.BaseRequest, world: World) -> str:
    """The caller's id when it is one canonical UUID, else a new one."""
    given = request.headers.getall(REQUEST_ID, ())
    if len(given) == 1 and is_uuid(given[0]):
        return given[0].lower()
    return world.new_request_id()


class Ending(NamedTuple):
    """How a request ended: status, stable code of a refusal, seconds from its head to the answer."""

    status: int
    error: str | None
    seconds: float


class Boundary:
    """Serves requests through a handler that may raise ``Fault``.

    ``serving`` are the connections whose requests are being served. Once ``draining`` is set, every
    answer ends its connection.
    """

    def __init__(self, http: HttpMetrics, log: Log, world: World) -> None:
        self._http, self._log, self._world = http, log, world
        self.serving: set[asyncio.BaseProtocol] = set()
        self.draining = False
        self._drain_ends_at = math.inf
        self._idle = asyncio.Event()
        http.in_flight.set_function(lambda: len(self.serving))

    async def serve(
        self, request: R, handler: Callable[[R], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The answer to a request; a streamed one has been sent."""
        started = perf_counter()
        connection = request.protocol
        self.serving.add(connection)
        trail = Trail(request_id_of(request, self._world))
        TRAIL.set(trail)
        status, error, early = CLIENT_GONE, None, False
        response: web.StreamResponse | None = None
        try:
            response = await self._answer(request, handler, trail)
            error = response.headers.get(ERROR_CODE) or trail.error
            self.dress(request, response, trail)
            if isinstance(response, Streamed):
                await response.prepare(request)
            elif early := ends_connection(request):
                await send_early(request, response)
            status = response.status
        except ConnectionError:  # the client left
            response = _cut(request, response)
        except Fault as fault:  # the answer had begun
            status, error = fault.status, fault.code
            response = _cut(request, response)
        except Exception:  # noqa: BLE001 - the edge of the process: one request's fault stays its own
            status, error = 500, "internal_error"
            self._log.event.exception("unexpected", request_id=trail.request_id)
            response = _cut(request, response)
        finally:
            self.over(request)
            if isinstance(response, Streamed):
                response.close()
            if not early:
                self._served(connection)
            self._account(request, response, trail, Ending(status, error, perf_counter() - started))
        if early:
            try:
                await end_connection(request)
            finally:
                self._served(connection)
        return response

    def _served(self, connection: asyncio.BaseProtocol) -> None:
        self.serving.discard(connection)
        if not self.serving:
            self._idle.set()

    async def _answer(
        self, request: R, handler: Callable[[R], Awaitable[web.StreamResponse]], trail: Trail
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except Fault as fault:
            return error_response(fault, trail.request_id)
        except web.HTTPException as error:  # the router's
            return error_response(_of_router(error), trail.request_id)
        except web.RequestPayloadError:
            return bare_response(400)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - see above
            self._log.event.exception("unexpected", request_id=trail.request_id)
            return error_response(_UNEXPECTED, trail.request_id)

    def dress(self, request: web.BaseRequest, response: web.StreamResponse, trail: Trail) -> None:
        """Set what every answer has, before its head is sent."""
        headers = response.headers
        headers[REQUEST_ID] = trail.request_id
        headers["Server"] = SERVER
        if self.draining or ends_connection(request):
            response.force_close()

    def drain(self, seconds: float) -> None:
        """The process stops; what it does may take so long."""
        self.draining = True
        self._drain_ends_at = self._world.monotonic() + seconds

    def left_s(self) -> float:
        """What is left of that time; without end unless the process stops."""
        return max(0.0, self._drain_ends_at - self._world.monotonic())

    async def until_idle(self, seconds: float) -> None:
        """Wait until no request is being served, at most so long."""
        self._idle.clear()
        if self.serving:
            try:
                async with asyncio.timeout(seconds):
                    await self._idle.wait()
            except TimeoutError:
                return

    def _account(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse | None,
        trail: Trail,
        ending: Ending,
    ) -> None:
        self._http.finish(request.method, trail.route, ending.status, ending.seconds)
        bytes_in = request.content.total_bytes
        bytes_out = trail.sent_bytes or _body_bytes(request, response)
        self.count_bytes(bytes_in, bytes_out)
        if trail.quiet:
            return
        self._log.access(
            {
                "request_id": trail.request_id,
                "method": request.method,
                "user_id": trail.user_id,
                "bytes_in": bytes_in,
                "route": trail.route,
                "status": ending.status,
                "error": ending.error,
                "bytes_out": bytes_out,
                "duration_ms": round(ending.seconds * 1000, 3),
                **trail.fields(),
            }
        )

    def over(self, request: web.BaseRequest) -> None:
        """Called once per request: its answer is sent, or about to be without a pause, or given up."""

    def count_bytes(self, bytes_in: int, bytes_out: int) -> None:
        """Called once per request, for a process that counts them."""


def _body_bytes(request: web.BaseRequest, response: web.StreamResponse | None) -> int:
    if not isinstance(response, web.Response) or request.method == "HEAD":
        return 0
    body = response.body
    return len(body) if isinstance(body, bytes) else 0


def _cut(request: web.BaseRequest, response: web.StreamResponse | None) -> web.StreamResponse:
    """End the connection at once, so that nobody takes a short answer for a whole one."""
    if request.transport is not None:
        request.transport.abort()
    return response or bare_response(CLIENT_GONE)


def _of_router(error: web.HTTPException) -> Fault:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(error.allowed_methods))
        return Fault("method_not_allowed", "The path has other methods.", headers={"Allow": allow})
    return Fault("route_not_found", "There is no such path.")
