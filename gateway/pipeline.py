"""The way of a request through the gateway, step by step, outermost first.

1. request id and exception boundary   2. access log and metrics   3. security headers
4. CORS   5. route match   6. rate limit per address   7. (admission control)
8. token check   9. rate limit per user   10. header injection, deadline, proxy

Steps 1 to 3 are around every request in ``gateway.server``; the rest is ``Pipeline.answer``. A step
returns or raises ``Fault``; cheap refusals come before costly work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.cors import Cors
from gateway.exchange import Exchange
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
    """Steps 4 to 10. ``own`` holds the gateway's own health routes by name."""

    cors: Cors
    table: RouteTable
    own: Mapping[str, Own]
    limits: RateLimits
    tokens: UserTokens
    proxy: Proxy

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """What the client gets.

        Raises:
            Fault: a refusal by any step.
        """
        preflight = self.cors.check(exchange)
        if preflight is not None:
            return preflight
        entry = self._match(exchange)
        if entry.own:
            return await self.own[entry.route.name](exchange.request)
        self.limits.per_ip(exchange)
        if entry.route.token is not Token.NONE:
            self._check_token(exchange, entry.route.token)
            self.limits.per_user(exchange)
        return await self.proxy.forward(exchange, entry)

    def _match(self, exchange: Exchange) -> Entry:
        try:
            path, exchange.query = split(exchange.request.raw_path, self.table.rests)
        except BadTargetError as error:
            raise Fault(
                "method_not_allowed", "This server is not a proxy.", headers={"Allow": "", **CLOSE}
            ) from error
        entry, exchange.path = self.table.match(exchange.method, path)
        exchange.trail.route, exchange.trail.quiet = entry.template, entry.route.name == "ping"
        return entry

    def _check_token(self, exchange: Exchange, rule: Token) -> None:
        given = exchange.headers.getall("Authorization", ())
        if not given:
            if rule is Token.REQUIRED:
                raise Fault("authentication_required", "Please log in.", headers=BEARER)
            return
        scheme, _, token = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise Fault("token_malformed", "This is not a bearer token.", headers=BEARER)
        user = self.tokens.verify(token.strip())
        exchange.user_id = exchange.trail.user_id = str(user.user_id)
        exchange.tier = user.tier
