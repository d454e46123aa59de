"""The page `/openapi.json` is whole, well formed, and what the system does.

Every answer that the contract suite gets is held against it; what no other test asks for is asked here.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.openapi import OPERATIONS, errors_of
from gateway.routes import BENCH, OWN, TABLES, entries
from services.kit.errors import STATUS
from services.kit.web.operations import missing
from services.kit.web.routing import Token
from tests.contract.api import Api
from tests.contract.described import PAGE, check, operation, operation_of
from tests.stack import System

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("service", TABLES)
def test_every_route_is_described_and_nothing_else_is(service: str) -> None:
    routes = TABLES[service][1] + (BENCH if service == OWN else ())
    assert missing(routes, OPERATIONS[service]) == set()


def test_what_a_service_describes_is_what_it_serves() -> None:
    for service in ("auth", "upload", "files"):
        handlers = importlib.import_module(f"services.{service}.handlers").HANDLERS
        internal = {route.name for route in TABLES[service][1] if route.internal}
        health = {route.name for route in TABLES[service][1] if route.health}
        assert set(OPERATIONS[service]) - health == set(handlers) - internal


def _schemas(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [one for item in value for one in _schemas(item)]
    if not isinstance(value, dict):
        return []
    here = [value["schema"]] if isinstance(value.get("schema"), dict) else []
    return here + [one for item in value.values() for one in _schemas(item)]


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {one for item in value for one in _references(item)}
    if not isinstance(value, dict):
        return set()
    here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return here | {one for item in value.values() for one in _references(item)}


def test_the_page_is_well_formed() -> None:
    schemas = _schemas(PAGE["paths"]) + list(PAGE["components"]["schemas"].values())
    assert len(schemas) > 100
    for schema in schemas:
        Draft202012Validator.check_schema(schema)
    known = {f"#/components/schemas/{name}" for name in PAGE["components"]["schemas"]}
    assert _references(PAGE) == known
    ids = [one["operationId"] for path in PAGE["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids)) == len(entries(bench=True))


def test_every_code_is_described_somewhere_and_none_that_does_not_exist() -> None:
    described = {
        code
        for entry in entries(bench=True)
        for code in errors_of(entry, OPERATIONS[entry.service][entry.route.name])
    }
    internal = {"registration_conflict", "service_credential_invalid"}  # no client meets them
    nowhere = {"route_not_found", "method_not_allowed"}  # no route, so no operation
    assert described == set(STATUS) - internal - nowhere


def test_token_rules_and_parameters_are_those_of_the_routes() -> None:
    for entry in entries(bench=True):
        found = operation(entry)
        takes_token = any("token" in one for one in found["security"])
        assert takes_token == (entry.route.token is not Token.NONE)
        in_path = {one["name"] for one in found.get("parameters", ()) if one["in"] == "path"}
        assert in_path == {part[1:-1] for part in entry.template.split("/") if part.startswith("{")}
        described = OPERATIONS[entry.service][entry.route.name]
        assert set(described.required) <= {*described.query, *described.headers}
        assert ("requestBody" in found) == (entry.route.body != "none"), entry.template


async def test_it_is_served_without_a_token(anyone: Api) -> None:
    served = await anyone.ok("GET", "/openapi.json")
    assert served == PAGE


async def test_bench_routes(anyone: Api, user: Api) -> None:
    await anyone.ok("GET", "/bench/status")
    await anyone.ok("GET", "/bench/echo", params={"items": 3})
    echoed = await anyone.post("/bench/echo", data=b"x", headers={"Content-Type": "text/plain"})
    assert (echoed.status, echoed.body) == (200, b"x")
    await user.ok("GET", "/bench/users")
    await user.ok("GET", "/bench/browse")
    await user.ok("POST", "/bench/submit", json={"a": 1})
    await anyone.refused("GET", "/bench/echo", "injected_fault", params={"fail_p": 1})


async def test_a_described_answer_that_differs_would_be_seen(anyone: Api, system: System) -> None:
    found = operation_of("GET", "/live?x=1")
    assert found is not None
    assert operation_of("GET", "/nowhere") is None
    with pytest.raises(AssertionError, match="gateway_live"):
        check_live({"status": "alive", "service": 5})
    with pytest.raises(AssertionError, match="does not answer 201"):
        check_live({}, status=201)
    check_live({"status": "alive", "service": "gateway"})


def check_live(body: dict[str, Any], status: int = 200) -> None:
    check("GET", "/live", status, {"Content-Type": "application/json"}, body)
