"""What surrounds every handler of a service: one boundary.

The boundary gives each request its id, checks the caller's credential, turns every fault into the one
error form, and then counts and logs the request: one place, after the answer, also when a handler
raises or the client leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

from services.kit.clock import World
from services.kit.codec import encode, is_uuid
from services.kit.errors import Fault
from services.kit.health import Health
from services.kit.http.message import JSON, MalformedBody, Request, Response
from services.kit.http.router import Router
from services.kit.log import Log
from services.kit.metrics import CLIENT_GONE, UNMATCHED, HttpMetrics
from services.kit.routing import Route
from services.kit.tokens import CredentialChecker
from services.kit.trail import TRAIL, Trail

Handler = Callable[[Request], Awaitable[Response | None]]  # None: it has answered by itself
PONG = b'{"status":"pong"}'


@dataclass(frozen=True, slots=True)
class Edge:
    """What the boundary of a process needs."""

    service: str
    log: Log
    http: HttpMetrics
    health: Health
    world: World
    credentials: CredentialChecker | None = None


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, {"Content-Type": JSON, **(headers or {})}, encode(value))


def error_response(fault: Fault, request_id: str) -> Response:
    """The one error form; the code is repeated in ``X-Error-Code`` so that nobody parses a body for it."""
    headers = {**fault.headers, "X-Error-Code": fault.code}
    close = headers.pop("Connection", "").lower() == "close"
    response = json_response(fault.body(request_id), fault.status, headers)
    response.error, response.close = fault.code, close
    return response


def bare_response(status: int) -> Response:
    """For HTTP that cannot be served at all: no body, and the connection ends."""
    return Response(status, close=True)


def unexpected() -> Fault:
    return Fault("internal_error", "Something went wrong on our side.")


def request_id_of(request: Request, world: World) -> str:
    """The caller's id when it is one canonical UUID, else a new one."""
    given = request.headers.getall("X-Request-Id", ())
    if len(given) == 1 and is_uuid(given[0]):
        return given[0].lower()
    return world.new_request_id()


def user_of(request: Request) -> UUID:
    """The user a request acts for.

    Raises:
        Fault: ``service_credential_invalid`` when the credential names none.
    """
    user_id = request.user_id
    if user_id is None:
        raise Fault("service_credential_invalid", "This route needs a user.")
    return user_id


class Boundary:
    """Serves ``routes`` with the handlers of the same names, and the health routes.

    Every route must have a handler and every handler a route; anything else is a ``ValueError``.
    """

    def __init__(self, edge: Edge, routes: Sequence[Route], handlers: Mapping[str, Handler]) -> None:
        bound = {**handlers, **health_handlers(edge)}
        names = {route.name for route in routes}
        if names != set(bound):
            raise ValueError(f"routes and handlers differ: {sorted(names ^ set(bound))}")
        self._edge = edge
        self._router = Router([(route, bound[route.name]) for route in routes])

    async def handle(self, request: Request) -> None:
        """Answer a request.

        Raises:
            ConnectionError: the client did not get the (whole) answer.
        """
        started = perf_counter()
        request.request_id = request_id_of(request, self._edge.world)
        trail = Trail(request.request_id)
        TRAIL.set(trail)
        self._edge.http.in_flight.inc()
        status, code = CLIENT_GONE, None
        try:
            response = await self._answer(request)
            if response is not None:
                response.headers["X-Request-Id"] = request.request_id
                await request.respond(response)
            if request.response is not None:
                status, code = request.response.status, request.response.error
        except Fault as fault:  # the answer had begun
            status, code = fault.status, fault.code
            raise ConnectionResetError(fault.code) from fault
        finally:
            self._account(request, trail, status, code, perf_counter() - started)

    async def _answer(self, request: Request) -> Response | None:
        try:
            route, handler, request.path_values = self._router.match(request.method, request.target)
            request.route = route
            self._admit(request, route)
            return await handler(request)
        except Fault as fault:
            if request.response is not None:
                raise
            return error_response(fault, request.request_id)
        except MalformedBody:
            return bare_response(400)
        except (asyncio.CancelledError, ConnectionError):
            raise  # the client left
        except Exception as error:
            self._edge.log.event.exception("unexpected", request_id=request.request_id)
            if request.response is not None:
                raise unexpected() from error
            return error_response(unexpected(), request.request_id)

    def _admit(self, request: Request, route: Route) -> None:
        """Check the service credential; only internal routes take callers other than the gateway."""
        if route.health:
            return
        checker = self._edge.credentials
        if checker is None:
            raise LookupError("a route that needs a credential, in a process that checks none")
        users = request.headers.getall("X-User-ID", ())
        if len(users) > 1:
            raise Fault("service_credential_invalid", "X-User-ID is given twice.")
        caller = checker.check(request.headers.get("X-Service-Token"), users[0] if users else None)
        if (caller.issuer == "gateway") == route.internal:
            raise Fault("service_credential_invalid", "This caller may not use this route.")
        request.caller = caller

    def _account(self, request: Request, trail: Trail, status: int, code: str | None, seconds: float) -> None:
        route, http = request.route, self._edge.http
        template = route.template if route else UNMATCHED
        http.in_flight.dec()
        http.finish(request.method, template, status, seconds)
        if route is not None and route.name == "ping":
            return
        self._edge.log.access(
            {
                "request_id": trail.request_id,
                "method": request.method,
                "user_id": request.user_id,
                "bytes_in": request.content_length or 0,
                "route": template,
                "status": status,
                "error": code,
                "bytes_out": request.sent_bytes,
                "duration_ms": round(seconds * 1000, 3),
                **trail.fields(),
            }
        )


def health_handlers(edge: Edge) -> dict[str, Handler]:
    health = edge.health

    async def text(_: Request) -> Response:
        return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, health.greeting.encode())

    async def live(_: Request) -> Response:
        return json_response({"status": "alive", "service": edge.service})

    async def ready(request: Request) -> Response:
        return _readiness(*await health.ready(request.request_id))

    async def detailed(request: Request) -> Response:
        return _readiness(*await health.ready(request.request_id, detailed=True))

    async def ping(_: Request) -> Response:
        return Response(200, {"Content-Type": JSON}, PONG)

    return {"health": text, "live": live, "ready": ready, "health_detailed": detailed, "ping": ping}


def _readiness(status: int, body: Mapping[str, Any]) -> Response:
    response = json_response(body, status)
    if status == 503:
        response.error = response.headers["X-Error-Code"] = "not_ready"
    return response
