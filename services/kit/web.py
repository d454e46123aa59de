"""The web application of a service: one boundary around every handler.

The boundary gives each request its id, checks the caller's credential, turns every fault into the one
error form, and then counts and logs the request: one place, after the answer, also when a handler
raises or the client leaves.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

from aiohttp import web

from services.kit.clock import World
from services.kit.codec import encode, is_uuid
from services.kit.errors import Fault
from services.kit.health import Health
from services.kit.log import Log
from services.kit.metrics import CLIENT_GONE, UNMATCHED, HttpMetrics
from services.kit.routing import Route
from services.kit.tokens import Caller, CredentialChecker
from services.kit.trail import TRAIL, Trail

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
ROUTE: web.RequestKey[Route] = web.RequestKey("route", Route)
_PARAMETER = re.compile(r"\{(\w+)\}")  # aiohttp's own pattern leaves out braces
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


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=encode(value), status=status, headers=headers, content_type="application/json")


def error_response(fault: Fault, request_id: str) -> web.Response:
    """The one error form; the code is repeated in ``X-Error-Code`` so that nobody parses a body for it."""
    headers = {**fault.headers, "X-Error-Code": fault.code}
    response = json_response(fault.body(request_id), fault.status, headers)
    if fault.headers.get("Connection", "").lower() == "close":
        response.force_close()
    return response


def request_id_of(request: web.BaseRequest, world: World) -> str:
    """The caller's id when it is one canonical UUID, else a new one."""
    given = request.headers.getall("X-Request-Id", [])
    if len(given) == 1 and is_uuid(given[0]):
        return given[0].lower()
    return str(world.new_uuid())


def user_of(request: web.Request) -> UUID:
    """The user a request acts for.

    Raises:
        Fault: ``service_credential_invalid`` when the credential names none.
    """
    user_id = request[CALLER].user_id
    if user_id is None:
        raise Fault("service_credential_invalid", "This route needs a user.")
    return user_id


def create_app(edge: Edge, routes: Sequence[Route], handlers: Mapping[str, Handler]) -> web.Application:
    """An application that serves ``routes`` with the handlers of the same names, and the health routes.

    Every route must have a handler and every handler a route; anything else is a ``ValueError``.
    """
    bound = {**handlers, **health_handlers(edge)}
    names = {route.name for route in routes}
    if names != set(bound):
        raise ValueError(f"routes and handlers differ: {sorted(names ^ set(bound))}")
    app = web.Application(middlewares=[_boundary(edge)], client_max_size=0)
    app[EDGE] = edge
    for route in routes:
        resource = app.router.add_resource(_PARAMETER.sub(r"{\1:[^/]+}", route.template))
        handler = _bind(route, bound[route.name])
        resource.add_route(route.method, handler)
        if route.method == "GET":
            resource.add_route("HEAD", handler)
    return app


def _bind(route: Route, handler: Handler) -> Handler:
    async def bound(request: web.Request) -> web.StreamResponse:
        request[ROUTE] = route
        _admit(request, route)
        return await handler(request)

    return bound


def _admit(request: web.Request, route: Route) -> None:
    """Check the service credential; only internal routes take callers other than the gateway."""
    if route.health:
        return
    checker: CredentialChecker | None = request.app[EDGE].credentials
    if checker is None:
        raise LookupError("a route that needs a credential, in a process that checks none")
    users = request.headers.getall("X-User-ID", [])
    if len(users) > 1:
        raise Fault("service_credential_invalid", "X-User-ID is given twice.")
    caller = checker.check(request.headers.get("X-Service-Token"), users[0] if users else None)
    if (caller.issuer == "gateway") == route.internal:
        raise Fault("service_credential_invalid", "This caller may not use this route.")
    request[CALLER] = caller


EDGE: web.AppKey[Edge] = web.AppKey("edge", Edge)


def _boundary(edge: Edge) -> Any:
    http, log, clock = edge.http, edge.log, perf_counter

    @web.middleware
    async def boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = clock()
        request_id = request[REQUEST_ID] = request_id_of(request, edge.world)
        trail = Trail(request_id)
        TRAIL.set(trail)
        http.in_flight.inc()
        status, code, sent = CLIENT_GONE, None, 0
        try:
            response = await _answer(edge, request, handler, request_id)
            if not _gone(request, response):
                status, code = response.status, response.headers.get("X-Error-Code")
            sent = response.content_length or 0
            if not response.prepared:
                response.headers["X-Request-Id"] = request_id
                if edge.health.draining:
                    response.force_close()
            return response
        finally:
            seconds = clock() - started
            route = request.get(ROUTE)
            template = route.template if route else UNMATCHED
            http.in_flight.dec()
            http.finish(request.method, template, status, seconds)
            if route is None or route.name != "ping":
                facts = {"route": template, "status": status, "error": code, "bytes_out": sent}
                _access(log, request, trail, {**facts, "duration_ms": round(seconds * 1000, 3)})

    return boundary


def _gone(request: web.Request, response: web.StreamResponse) -> bool:
    """Whether the client left while a streamed answer was on its way."""
    return response.prepared and (request.transport is None or request.transport.is_closing())


def _access(log: Log, request: web.Request, trail: Trail, facts: dict[str, Any]) -> None:
    caller = request.get(CALLER)
    log.access(
        {
            "request_id": trail.request_id,
            "method": request.method,
            "user_id": caller.user_id if caller else None,
            "bytes_in": request.content_length or 0,
            **facts,
            **trail.fields(),
        }
    )


async def _answer(edge: Edge, request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except Fault as fault:
        return error_response(fault, request_id)
    except web.HTTPNotFound:
        return error_response(Fault("route_not_found", "There is no such path."), request_id)
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": ", ".join(sorted(error.allowed_methods))}
        return error_response(
            Fault("method_not_allowed", "The path has other methods.", headers=allow), request_id
        )
    except (asyncio.CancelledError, ConnectionError):
        raise  # the client left: counted as 499 by the caller
    except Exception:  # noqa: BLE001 - the edge of the process: one request's fault stays its own
        edge.log.event.exception("unexpected", request_id=request_id)
        return error_response(Fault("internal_error", "Something went wrong on our side."), request_id)


def health_handlers(edge: Edge) -> dict[str, Handler]:
    health = edge.health

    async def text(_: web.Request) -> web.Response:
        return web.Response(text=health.greeting)

    async def live(_: web.Request) -> web.Response:
        return json_response({"status": "alive", "service": edge.service})

    async def ready(request: web.Request) -> web.Response:
        status, body = await health.ready(request[REQUEST_ID])
        return json_response(body, status, _not_ready(status))

    async def detailed(request: web.Request) -> web.Response:
        status, body = await health.ready(request[REQUEST_ID], detailed=True)
        return json_response(body, status, _not_ready(status))

    async def ping(_: web.Request) -> web.Response:
        return web.Response(body=PONG, content_type="application/json")

    return {"health": text, "live": live, "ready": ready, "health_detailed": detailed, "ping": ping}


def _not_ready(status: int) -> dict[str, str]:
    return {"X-Error-Code": "not_ready"} if status == 503 else {}
