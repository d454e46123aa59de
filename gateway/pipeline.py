"""The way of a request through the gateway, step by step, outermost first.

1. request id and exception boundary   2. access log and metrics   3. security headers
4. CORS   5. route match   6. rate limit per address   7. admission control
8. token check   9. rate limit per user   10. header injection, deadline, breaker, proxy

Steps 1 to 3 are around every request in ``gateway.server``; the rest is ``Pipeline.answer``. A step
returns or raises ``Fault``; cheap refusals come before costly work. The gateway's own health routes need
only steps 1 to 5; its other routes take the place of the proxy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.admission import Admission
from gateway.context import RequestContext
from gateway.cors import Cors
from gateway.limits import RateLimits
from gateway.proxy import Proxy
from gateway.routes import Entry, RouteTable
from gateway.target import BadTargetError, split
from services.kit.errors import Fault
from services.kit.tokens import UserTokens
from services.kit.web.routing import Token

Own = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
CLOSE = {"Connection": "close"}
BEARER = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps 4 to 10. ``own`` holds the gateway's own routes by name."""

    cors: Cors
    table: RouteTable
    own: Mapping[str, Own]
    limits: RateLimits
    admission: Admission
    tokens: UserTokens
    proxy: Proxy

    async def answer(self, context: RequestContext) -> web.StreamResponse:
        """What the client gets.

        Raises:
            Fault: a refusal by any step.
        """
        preflight = self.cors.check(context)
        if preflight is not None:
            return preflight
        entry = self._match(context)
        if entry.own and entry.route.health:
            return await self.own[entry.route.name](context.request)
        self._look_at_token(context, entry.route.token)
        await self.limits.check(context)
        if context.refusal is None:
            # Whoever lets a small body drip keeps a connection, and no place that others wait for.
            context.body = await self.proxy.small_body(entry, context.request)
            if context.body is None and context.user_id is not None:
                self.admission.begin_body(context.user_id)
                context.sender = context.user_id
        await self.admission.enter(context.gone)
        context.admitted = True
        if context.refusal is not None:
            raise context.refusal
        if entry.own:
            return await self.own[entry.route.name](context.request)
        return await self.proxy.forward(context, entry)

    def _match(self, context: RequestContext) -> Entry:
        try:
            path, context.query = split(context.request.raw_path, self.table.rests)
        except BadTargetError as error:
            raise Fault(
                "method_not_allowed", "This server is not a proxy.", headers={"Allow": "", **CLOSE}
            ) from error
        entry, context.path = self.table.match(context.method, path)
        context.trail.route, context.trail.quiet = entry.template, entry.route.name == "ping"
        return entry

    def _look_at_token(self, context: RequestContext, rule: Token) -> None:
        """Who asks is found out first, so that both limits are counted in one step; a token that is no good
        is told when its turn has come."""
        if rule is Token.NONE:
            return
        try:
            self._check_token(context, rule)
        except Fault as refusal:
            context.refusal = refusal

    def _check_token(self, context: RequestContext, rule: Token) -> None:
        given = context.headers.getall("Authorization", ())
        if not given:
            if rule is Token.REQUIRED:
                raise Fault("authentication_required", "Please log in.", headers=BEARER)
            return
        scheme, _, token = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise Fault("token_malformed", "This is not a bearer token.", headers=BEARER)
        user = self.tokens.verify(token.strip())
        context.user_id = context.trail.user_id = str(user.user_id)
        context.tier = user.tier
