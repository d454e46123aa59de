"""The page `/openapi.json`, held against real answers: status, content type, body."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from gateway.openapi import document
from gateway.routes import Entry, RouteTable, entries
from gateway.target import BadTargetError, split
from services.kit.errors import Fault

TABLE = RouteTable(entries(bench=True))
PAGE = document(TABLE.entries)
SEEN: set[tuple[str, int]] = set()  # operations and the statuses that were answered
JSON = "application/json"
NO_ROUTE = {404: "route_not_found", 405: "method_not_allowed"}  # answered before there is an operation


def operation_of(method: str, target: str) -> Mapping[str, Any] | None:
    """What the page says of a request; None where it reaches no route."""
    try:
        entry, _ = TABLE.match(method, split(target, TABLE.rests)[0])
    except (Fault, BadTargetError):
        return None
    return operation(entry)


def operation(entry: Entry) -> Mapping[str, Any]:
    found: Mapping[str, Any] = PAGE["paths"][entry.template][entry.route.method.lower()]
    return found


@cache
def _validator(operation_id: str, status: int, content_type: str) -> Draft202012Validator:
    by_id = {one["operationId"]: one for path in PAGE["paths"].values() for one in path.values()}
    schema = by_id[operation_id]["responses"][str(status)]["content"][content_type]["schema"]
    whole = {**schema, "components": PAGE["components"]}
    Draft202012Validator.check_schema(whole)
    return Draft202012Validator(whole, format_checker=FormatChecker())


def check(method: str, target: str, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Raises AssertionError unless the answer is one that the page describes.

    Args:
        body: of JSON the value; of anything else the bytes.
    """
    found = operation_of(method, target)
    if found is None or (status in NO_ROUTE and isinstance(body, dict) and body["error"] == NO_ROUTE[status]):
        return
    name = found["operationId"]
    assert str(status) in found["responses"], f"{name} does not answer {status}: {body}"
    SEEN.add((name, status))
    content = found["responses"][str(status)].get("content")
    if content is None:
        assert body in (b"", None), f"{name} answers {status} without a body: {body}"
        return
    if method == "HEAD":
        return
    kind = headers.get("Content-Type", "").partition(";")[0]
    assert kind in content or "*/*" in content, f"{name} does not answer {status} as {kind}"
    if kind == JSON and JSON in content:
        problems = [
            f"{'/'.join(map(str, one.absolute_path))}: {one.message}"
            for one in _validator(name, status, JSON).iter_errors(body)
        ]
        assert not problems, f"{name} {status}: {problems}"
