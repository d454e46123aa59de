"""A service as an aiohttp application: its routes, and the middleware that is around all of them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from aiohttp import web

from services.kit import deadline as deadlines
from services.kit.errors import Fault
from services.kit.health import Health
from services.kit.tokens import Caller, CredentialChecker
from services.kit.trail import TRAIL
from services.kit.web.body import BODY_PACE, Pace
from services.kit.web.boundary import Boundary
from services.kit.web.health import health_handlers
from services.kit.web.routing import Route

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REST = re.compile(r"\{(\w+)\}$")
_PARAMETER = re.compile(r"\{(\w+)\}")  # of any characters but "/": what they mean is the handler's to judge
CALLER = web.RequestKey("CALLER", Caller)


def user_id_of(request: web.Request) -> UUID | None:
    """The user a request acts for, None for nobody."""
    caller = request.get(CALLER)
    return caller.user_id if caller else None


def user_of(request: web.Request) -> UUID:
    """The user a request acts for.

    Raises:
        Fault: ``service_credential_invalid`` when the credential names none.
    """
    user_id = user_id_of(request)
    if user_id is None:
        raise Fault("service_credential_invalid", "This route needs a user.")
    return user_id


def application(
    routes: Sequence[Route],
    handlers: Mapping[str, Handler],
    *,
    boundary: Boundary,
    credentials: CredentialChecker,
    health: Health,
    pace: Pace,
) -> web.Application:
    """An application that serves ``routes`` with the handlers of the same names, and the health routes.

    Raises:
        ValueError: a route without a handler, or a handler without a route.
    """
    bound = {**handlers, **health_handlers(health)}
    names = {route.name for route in routes}
    if names != set(bound):
        raise ValueError(f"routes and handlers differ: {sorted(names ^ set(bound))}")
    by_handler = {bound[route.name]: route for route in routes}

    @web.middleware
    async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await boundary.serve(request, handler)

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = by_handler.get(request.match_info.handler)
        if route is not None:
            trail = TRAIL.get()
            trail.route, trail.quiet = route.template, route.name == "ping"
            if not route.health:
                caller = request[CALLER] = _caller(request, route, credentials)
                trail.user_id = caller.user_id
                _limit(request)
        return await handler(request)

    app = web.Application(middlewares=[surround, admit])
    app[BODY_PACE] = pace
    for route in routes:
        methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
        path = _REST.sub(r"{\1:[\\s\\S]*}", route.template) if route.rest else route.template
        path = _PARAMETER.sub(r"{\1:[^/]+}", path)
        for method in methods:
            app.router.add_route(method, path, bound[route.name], expect_handler=_when_the_body_is_read)
    return app


async def _when_the_body_is_read(_: web.Request) -> None:
    """The client is asked for its body by whoever reads it: a refusal costs no body."""


def _limit(request: web.Request) -> None:
    """Take the caller's deadline over; it runs from the end of the body.

    Raises:
        Fault: ``deadline_exceeded`` when there is no time at all.
    """
    given = request.headers.get(deadlines.HEADER)
    deadline = None if given is None else deadlines.parse(given)
    deadlines.DEADLINE.set(deadline)
    if deadline is None:
        return
    if not deadline.limit_s:
        raise Fault("deadline_exceeded", "The caller has no time left for this.")
    if request.content.is_eof():
        deadline.start()
    else:
        request.content.on_eof(deadline.start)


def _caller(request: web.Request, route: Route, credentials: CredentialChecker) -> Caller:
    """Check the service credential; only internal routes take callers other than the gateway."""
    users = request.headers.getall("X-User-ID", ())
    if len(users) > 1:
        raise Fault("service_credential_invalid", "X-User-ID is given twice.")
    caller = credentials.check(request.headers.get("X-Service-Token"), users[0] if users else None)
    if (caller.issuer == "gateway") == route.internal:
        raise Fault("service_credential_invalid", "This caller may not use this route.")
    return caller
