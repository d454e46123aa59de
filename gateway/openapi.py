"""The page `/openapi.json`: made of the route tables and of what the services say of each route.

Nothing in it is written twice: paths, token rules and methods are those that requests are matched with,
statuses of errors those of the error table.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from gateway.bench import answer
from gateway.operations import OPERATIONS as OWN_OPERATIONS
from gateway.routes import OWN, Entry
from services.auth.operations import OPERATIONS as AUTH
from services.files.operations import OPERATIONS as FILES
from services.kit.codec import encode
from services.kit.errors import STATUS
from services.kit.web.operations import (
    ANYTHING,
    JSON,
    STRING,
    UUID,
    Content,
    Operation,
    Raw,
    Schema,
    open_record,
    record,
)
from services.kit.web.routing import Route, Token
from services.upload.operations import OPERATIONS as UPLOAD

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "auth": AUTH,
    "upload": UPLOAD,
    "files": FILES,
    OWN: OWN_OPERATIONS,
}
ANY_ERRORS = ("origin_not_allowed", "rate_limited", "internal_error")
ADMITTED_ERRORS = ("overloaded", "queue_timeout")
FORWARDED_ERRORS = (
    "upstream_unavailable",
    "circuit_open",
    "dependency_unavailable",
    "deadline_exceeded",
)
TOKEN_ERRORS = ("token_malformed", "token_invalid", "token_expired")
BODY_ERRORS = ("request_timeout", "unsupported_media_type")
ERROR = record("Error", error=STRING, message=STRING, request_id=UUID, optional={"details": ANYTHING})
ERROR_WITH_CHECKS = open_record("ErrorWithChecks", error=STRING, message=STRING, request_id=UUID)
_PARAMETER = re.compile(r"\{(\w+)\}")
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def errors_of(entry: Entry, operation: Operation) -> tuple[str, ...]:
    """Every code that the route may answer."""
    route, found = entry.route, {*ANY_ERRORS, *operation.errors}
    if not (entry.own and route.health):
        found.update(ADMITTED_ERRORS)
    if not entry.own:
        found.update(FORWARDED_ERRORS)
    if route.token is not Token.NONE:
        found.update(TOKEN_ERRORS)
    if route.token is Token.REQUIRED:
        found.add("authentication_required")
    if route.body != "none":
        found.update(BODY_ERRORS)
    return tuple(sorted(found))


def document(entries: Iterable[Entry]) -> dict[str, Any]:
    """The whole page, as OpenAPI 3.1 has it."""
    shared = _Shared()
    paths: dict[str, dict[str, Any]] = {}
    for entry in entries:
        operation = OPERATIONS[entry.service][entry.route.name]
        made = _operation(entry, operation, shared)
        paths.setdefault(entry.template, {})[entry.route.method.lower()] = made
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vaultbench",
            "version": "0.1.0",
            "description": "HEAD works wherever GET does. Times are in UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": shared.schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def served_document(entries: Iterable[Entry]) -> Handler:
    """A handler that answers with the page."""
    page = encode(document(entries))

    async def openapi(_: web.BaseRequest) -> web.StreamResponse:
        return answer(page)

    return openapi


class _Shared:
    """Schemas with a title, written down once."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def of(self, schema: Any) -> Any:
        """The schema with references for what has a title.

        Raises:
            ValueError: two schemas of one title.
        """
        if isinstance(schema, list | tuple):
            return [self.of(one) for one in schema]
        if not isinstance(schema, Mapping):
            return schema
        inner = {key: self.of(value) for key, value in schema.items() if key != "title" or _is_schema(value)}
        title = schema.get("title")
        if not isinstance(title, str):
            return inner
        if self.schemas.setdefault(title, inner) != inner:
            raise ValueError(f"two schemas are called {title}")
        return {"$ref": f"#/components/schemas/{title}"}


def _is_schema(value: Any) -> bool:
    """A member that is called title, not the title of a schema."""
    return isinstance(value, Mapping)


def _operation(entry: Entry, operation: Operation, shared: _Shared) -> dict[str, Any]:
    route = entry.route
    made: dict[str, Any] = {
        "operationId": f"{entry.service}_{route.name}",
        "tags": [entry.service],
        "summary": operation.summary,
        "security": _security(route),
        "responses": _responses(entry, operation, shared),
    }
    if parameters := _parameters(entry.template, operation, shared):
        made["parameters"] = parameters
    if operation.takes is not None:
        made["requestBody"] = {"required": True, "content": _content(operation.takes, shared)}
    return made


def _security(route: Route) -> list[dict[str, list[str]]]:
    with_token: dict[str, list[str]] = {"token": []}
    return {Token.NONE: [], Token.OPTIONAL: [{}, with_token], Token.REQUIRED: [with_token]}[route.token]


def _parameters(template: str, operation: Operation, shared: _Shared) -> list[dict[str, Any]]:
    def parameter(name: str, place: str, schema: Schema, *, required: bool) -> dict[str, Any]:
        return {"name": name, "in": place, "required": required, "schema": shared.of(schema)}

    places = (("query", operation.query), ("header", operation.headers))
    in_path = [
        parameter(name, "path", UUID if name.endswith(("_id", "_uuid")) else STRING, required=True)
        for name in _PARAMETER.findall(template)
    ]
    return in_path + [
        parameter(name, place, schema, required=name in operation.required)
        for place, schemas in places
        for name, schema in schemas.items()
    ]


def _responses(entry: Entry, operation: Operation, shared: _Shared) -> dict[str, Any]:
    made: dict[str, Any] = {}
    shape = ERROR_WITH_CHECKS if entry.route.health else ERROR
    for status, content in operation.answers.items():
        made[str(status)] = {"description": "Success."}
        if content is not None:
            made[str(status)]["content"] = _content(content, shared)
    codes: dict[int, list[str]] = {}
    for code in errors_of(entry, operation):
        for status in (500, 502, 503, 504) if code == "injected_fault" else (STATUS[code],):
            codes.setdefault(status, []).append(code)
    for status, found in sorted(codes.items()):
        made[str(status)] = {
            "description": ", ".join(found),
            "content": {JSON: {"schema": _error(found, shape, shared)}},
        }
    return made


def _error(codes: list[str], shape: Schema, shared: _Shared) -> dict[str, Any]:
    return {"allOf": [shared.of(shape), {"properties": {"error": {"enum": codes}}}]}


def _content(content: Content | tuple[Content, ...], shared: _Shared) -> dict[str, Any]:
    kinds = content if isinstance(content, tuple) else (content,)
    made: dict[str, Any] = {}
    for kind in kinds:
        if isinstance(kind, Raw):
            made[kind.content_type] = {"schema": shared.of(kind.schema)}
        elif kind is not None:
            made[JSON] = {"schema": shared.of(kind)}
    return made
