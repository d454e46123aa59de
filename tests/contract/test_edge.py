"""The way in, on the real system: tokens, origins, routes, health, ping, request ids, metrics."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest

from gateway.routes import OWN, TABLES
from services.kit.web.routing import Route, Token
from tests.contract.api import Answer, Api
from tests.stack import System

pytestmark = pytest.mark.contract

ORIGINS = [
    "http://localhost:3000",
    "http://localhost:5500",
    "https://localhost:5500",
    "http://127.0.0.1:5500",
]
PREFIXES = [table for service, table in TABLES.items() if service != OWN]
PUBLIC = [(prefix, route) for prefix, routes in PREFIXES for route in routes if not route.internal]
INTERNAL = [(prefix, route) for prefix, routes in PREFIXES for route in routes if route.internal]
OWNED = "/api/files/me/owned"


def path_of(prefix: str, route: Route) -> str:
    path = prefix + route.template
    for name in ("file_id", "upload_uuid", "id", "user_id"):
        path = path.replace("{" + name + "}", str(uuid4()))
    return path


def named(value: Any) -> str:
    return f"{value.method}{value.template}" if isinstance(value, Route) else str(value)


@pytest.mark.parametrize(("prefix", "route"), PUBLIC, ids=named)
class TestEveryRoute:
    async def test_token_rule(self, anyone: Api, prefix: str, route: Route) -> None:
        answer = await anyone.call(route.method, path_of(prefix, route))
        if route.token is Token.REQUIRED:
            assert answer.code == "authentication_required"
        else:
            assert answer.status != 401

    async def test_other_methods_are_405_with_allow(self, user: Api, prefix: str, route: Route) -> None:
        path = path_of(prefix, route)
        allowed = {other.method for at, other in PUBLIC if at + other.template == prefix + route.template}
        allowed |= {"HEAD"} if "GET" in allowed else set()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if method not in allowed:
                answer = await user.refused(method, path, "method_not_allowed")
                assert {one.strip() for one in answer.headers["Allow"].split(",")} == allowed

    async def test_head_works_where_get_does(self, user: Api, prefix: str, route: Route) -> None:
        if route.method == "GET":
            path = path_of(prefix, route)
            head, get = await user.call("HEAD", path), await user.get(path)
            assert (head.status, head.body) == (get.status, b"")


@pytest.mark.parametrize(("prefix", "route"), INTERNAL, ids=named)
async def test_internal_routes_do_not_exist_here(user: Api, prefix: str, route: Route) -> None:
    await user.refused(route.method, path_of(prefix, route), "route_not_found", json={})


@pytest.mark.parametrize("path", ["/", "/api", "/api/upload", "/nope", "/auth/nope", "/metrics", "/settings"])
async def test_other_paths_do_not_exist(user: Api, path: str) -> None:
    await user.refused("GET", path, "route_not_found")


class TestTokens:
    def claims(self, **change: Any) -> dict[str, Any]:
        now = int(time.time())
        good = {
            "user_id": str(uuid4()),
            "iss": "testbed-auth",
            "aud": "testbed",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid4()),
        }
        return {name: value for name, value in {**good, **change}.items() if value is not None}

    async def ask(self, anyone: Api, authorization: str) -> Answer:
        return await anyone.get(OWNED, headers={"Authorization": authorization})

    async def test_the_least_that_is_needed(self, anyone: Api, system: System) -> None:
        token = jwt.encode(self.claims(), system.stack.env["JWT_SECRET"], "HS256")
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert (await self.ask(anyone, f"{scheme} {token}")).status == 200

    @pytest.mark.parametrize("value", ["x", "Bearer", "Bearer x", "Bearer a.b", "Basic dTpw", "Bearer a.b.c"])
    async def test_what_is_no_token(self, anyone: Api, value: str) -> None:
        assert (await self.ask(anyone, value)).code == "token_malformed"

    @pytest.mark.parametrize(
        "change",
        [{name: None} for name in ("user_id", "iss", "aud", "iat", "exp", "jti")]
        + [
            {"iss": "other"},
            {"aud": "other"},
            {"user_id": 5},
            {"user_id": "x"},
            {"jti": "x"},
            {"exp": "soon"},
        ],
    )
    async def test_claims(self, anyone: Api, system: System, change: dict[str, Any]) -> None:
        token = jwt.encode(self.claims(**change), system.stack.env["JWT_SECRET"], "HS256")
        assert (await self.ask(anyone, f"Bearer {token}")).code == "token_invalid"

    async def test_signatures_and_algorithms(self, anyone: Api, system: System) -> None:
        key = system.stack.env["JWT_SECRET"]
        forged = jwt.encode(self.claims(), "x" * 40, "HS256")
        longer = jwt.encode(self.claims(), key.ljust(64, "0"), "HS512")
        body = base64.urlsafe_b64encode(json.dumps(self.claims()).encode()).decode().rstrip("=")
        heads = [
            base64.urlsafe_b64encode(json.dumps({"alg": name, "typ": "JWT"}).encode()).decode().rstrip("=")
            for name in ("none", "None", "NONE")
        ]
        for token in (forged, longer, *(f"{head}.{body}." for head in heads)):
            assert (await self.ask(anyone, f"Bearer {token}")).code == "token_invalid"

    async def test_an_expired_one_has_no_leeway(self, anyone: Api, system: System) -> None:
        claims = self.claims(exp=int(time.time()) - 1)
        token = jwt.encode(claims, system.stack.env["JWT_SECRET"], "HS256")
        assert (await self.ask(anyone, f"Bearer {token}")).code == "token_expired"
        await anyone.with_token(token).refused("GET", f"/api/files/f/{uuid4()}", "token_expired")

    async def test_issue_time_is_not_compared_with_a_clock(self, anyone: Api, system: System) -> None:
        token = jwt.encode(self.claims(iat=int(time.time()) + 5000), system.stack.env["JWT_SECRET"], "HS256")
        assert (await self.ask(anyone, f"Bearer {token}")).status == 200


class TestOrigins:
    @pytest.mark.parametrize("origin", ORIGINS)
    async def test_preflight(self, anyone: Api, origin: str) -> None:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "Authorization, Content-Type, Upload-UUID, Checksum",
        }
        for path in ("/api/upload/proxy/chunk", "/anything"):
            answer = await anyone.call("OPTIONS", path, headers=asked)
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, origin)
            allowed = {name.strip() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
            assert allowed >= {"Authorization", "Content-Type", "Upload-UUID", "Checksum", "Idempotency-Key"}
            methods = {name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")}
            assert methods == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
            assert answer.headers["Access-Control-Max-Age"] == "10800"
            assert "Access-Control-Allow-Credentials" not in answer.headers

    async def test_errors_can_be_read_too(self, anyone: Api) -> None:
        answer = await anyone.refused(
            "GET", OWNED, "authentication_required", headers={"Origin": "http://localhost:3000"}
        )
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert exposed >= {"ETag", "X-Request-Id", "Retry-After", "Content-Disposition", "Content-Range"}
        assert answer.headers["Vary"] == "Origin"

    @pytest.mark.parametrize(
        "origin",
        ["http://localhost:3001", "https://localhost:3000", "null", "http://localhost:3000.evil.example"],
    )
    async def test_other_origins(self, user: Api, origin: str) -> None:
        for method in ("GET", "OPTIONS"):
            answer = await user.refused(method, OWNED, "origin_not_allowed", headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Vary"] == "Origin"

    async def test_no_origin(self, user: Api) -> None:
        answer = await user.get(OWNED)
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        await user.refused("OPTIONS", OWNED, "method_not_allowed")


class TestRequestId:
    async def test_a_canonical_one_is_kept_in_lower_case(self, user: Api, system: System) -> None:
        for given in (str(uuid4()), str(uuid4()).upper()):
            answer = await user.get(OWNED, headers={"X-Request-Id": given})
            assert answer.headers["X-Request-Id"] == given.lower()

    @pytest.mark.parametrize("given", ["x", "", uuid4().hex], ids=["short", "empty", "hex"])
    async def test_any_other_is_replaced(self, user: Api, given: str) -> None:
        assert (await user.get(OWNED, headers={"X-Request-Id": given})).headers["X-Request-Id"] != given
