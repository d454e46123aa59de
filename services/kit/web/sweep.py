"""``POST /internal/sweep`` of the services that sweep: an operator's sweep, now and with its own ages."""

from __future__ import annotations

import re

from aiohttp import web

from services.kit.codec import parse_uuid
from services.kit.errors import Fault
from services.kit.sweeping import UNKNOWN_S, Scope, Sweeper
from services.kit.web.answers import json_response
from services.kit.web.app import CALLER

OPERATOR = "operator"
SWEEPER = web.AppKey("SWEEPER", Sweeper)
_SECONDS = re.compile(r"[0-9]{1,9}")
_AGES = ("older_than_s", "unknown_older_than_s")
_PARAMETERS = frozenset({"dry_run", "users", *_AGES})


def scope_of(request: web.Request) -> Scope:
    """What the query asks for.

    Raises:
        Fault: ``invalid_query``, ``invalid_uuid``.
    """
    query = request.query
    if len(query) != len(set(query)) or not set(query) <= _PARAMETERS:
        raise Fault("invalid_query", f"A sweep takes {', '.join(sorted(_PARAMETERS))}, each once.")
    dry_run, users = query.get("dry_run", "0"), query.get("users")
    if dry_run not in {"0", "1"}:
        raise Fault("invalid_query", "dry_run is 0 or 1.")
    ages = {name: query[name] for name in _AGES if name in query}
    for name, text in ages.items():
        if not _SECONDS.fullmatch(text):
            raise Fault("invalid_query", f"{name} is a whole number of seconds.")
    return Scope(
        dry_run=dry_run == "1",
        older_than_s=float(ages["older_than_s"]) if "older_than_s" in ages else None,
        unknown_older_than_s=float(ages.get("unknown_older_than_s", UNKNOWN_S)),
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
