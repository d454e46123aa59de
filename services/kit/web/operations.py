"""What a client needs to know of each route, as data: the page `/openapi.json` is made of these.

Each service has a table of them by route name, beside its route table; a route without an entry, or an entry
without a route, fails a test. Schemas are JSON Schema; one with a ``title`` is written down once and referred
to. Answers are closed: what a schema does not name is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.kit.web.routing import Route

Schema = Mapping[str, Any]
JSON = "application/json"
TEXT = "text/plain"
ANY = "*/*"

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
UUID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
URL: Schema = {"type": "string", "format": "uri"}
BINARY: Schema = {"type": "string", "format": "binary"}
ANYTHING: Schema = {"type": "object"}


def whole(least: int, most: int | None = None, default: int | None = None) -> Schema:
    """An integer of a range."""
    bounds = {"minimum": least, "maximum": most, "default": default}
    return {"type": "integer", **{key: value for key, value in bounds.items() if value is not None}}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: Schema, least: int | None = None, most: int | None = None) -> Schema:
    bounds = {"minItems": least, "maxItems": most}
    return {
        "type": "array",
        "items": items,
        **{key: value for key, value in bounds.items() if value is not None},
    }


def record(title: str = "", *, optional: Mapping[str, Schema] | None = None, **members: Schema) -> Schema:
    """An object with exactly these members, those under ``optional`` may be missing."""
    named = {"title": title} if title else {}
    return {
        **named,
        "type": "object",
        "properties": {**members, **(optional or {})},
        "required": sorted(members),
        "additionalProperties": False,
    }


def open_record(title: str = "", **members: Schema) -> Schema:
    """An object with at least these members."""
    return {**record(title, **members), "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class Raw:
    """A body that is not JSON."""

    content_type: str = ANY
    schema: Schema = field(default_factory=lambda: BINARY)


Content = Schema | Raw | None  # None: no body


@dataclass(frozen=True, slots=True)
class Operation:
    """One route, for those who call it.

    ``answers`` are the successes by status; ``takes`` is the request's body, or several kinds of it. The
    names in ``required`` are query parameters and headers. ``errors`` are the codes beyond those that any
    route may give.
    """

    summary: str
    answers: Mapping[int, Content | tuple[Content, ...]]
    takes: Content | tuple[Content, ...] = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


JSON_ERRORS = ("invalid_json", "unknown_field", "missing_field", "invalid_field", "body_too_large")
LENIENT_JSON_ERRORS = tuple(code for code in JSON_ERRORS if code != "unknown_field")
_CHECK = record("Check", ok=BOOLEAN, latency_ms=NUMBER, message=STRING)
_CHECKS: Schema = {"type": "object", "additionalProperties": _CHECK}
_READY = record("Ready", status=one_of("ready"), service=STRING, checks=_CHECKS)
_DETAILED = open_record(
    "Detailed", status=one_of("ready"), service=STRING, checks=_CHECKS, version=STRING, uptime_s=NUMBER
)
HEALTH: Mapping[str, Operation] = {
    "health": Operation("A greeting.", {200: Raw(TEXT, STRING)}),
    "live": Operation(
        "Whether the process lives.", {200: record("Alive", status=one_of("alive"), service=STRING)}
    ),
    "ready": Operation("Whether it can do its work.", {200: _READY}, errors=("not_ready",)),
    "health_detailed": Operation("Readiness, and more for people.", {200: _DETAILED}, errors=("not_ready",)),
    "ping": Operation("The cheapest answer.", {200: record("Pong", status=one_of("pong"))}),
}


def missing(routes: tuple[Route, ...], operations: Mapping[str, Operation]) -> set[str]:
    """Names of public routes without an entry, and of entries without a public route."""
    return {route.name for route in routes if not route.internal} ^ set(operations)
