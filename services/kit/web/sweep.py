"""``POST /internal/sweep`` of the services that sweep: an operator's sweep, now and with its own ages."""

from __future__ import annotations

import re

from aiohttp import web

from services.kit.codec import parse_uuid
from services.kit.errors import Fault
from services.kit.sweeping import Scope, Sweeper
from services.kit.web.answers import json_response
from services.kit.web.app import CALLER

OPERATOR = "operator"
SWEEPER = web.AppKey("SWEEPER", Sweeper)
_SECONDS = re.compile(r"[0-9]{1,9}")
_PARAMETERS = frozenset({"dry_run", "older_than_s", "users"})


def scope_of(request: web.Request) -> Scope:
    """What the query asks for.

    Raises:
        Fault: ``invalid_query``, ``invalid_uuid``.
    """
    query = request.query
    if len(query) != len(set(query)) or not set(query) <= _PARAMETERS:
        raise Fault("invalid_query", "A sweep takes dry_run, older_than_s and users, each once.")
    dry_run, older_than, users = query.get("dry_run", "0"), query.get("older_than_s"), query.get("users")
    if dry_run not in {"0", "1"}:
        raise Fault("invalid_query", "dry_run is 0 or 1.")
    if older_than is not None and not _SECONDS.fullmatch(older_than):
        raise Fault("invalid_query", "older_than_s is a whole number of seconds.")
    return Scope(
        dry_run=dry_run == "1",
        older_than_s=None if older_than is None else float(older_than),
        users=None if users is None else frozenset(parse_uuid(text, "users") for text in users.split(",")),
    )


async def sweep(request: web.Request) -> web.Response:
    """The operator's sweep; only the operator's credential may ask for it."""
    if request[CALLER].issuer != OPERATOR:
        raise Fault("service_credential_invalid", "This caller may not use this route.")
    turn = await request.app[SWEEPER].run(scope_of(request))
    return json_response(
        {"dry_run": turn.scope.dry_run, "counts": dict(turn.counts), "bytes": dict(turn.size_bytes)}
    )
