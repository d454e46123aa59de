"""Accounts through the gateway."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.contract.api import Api
from tests.contract.conftest import PASSWORD, MakeUser
from tests.stack import System

pytestmark = pytest.mark.contract

GOOD = {"username": "auth_1", "email": "auth-1@contract.example", "password": PASSWORD}


async def test_signup_then_login_with_more_members_than_needed(anyone: Api) -> None:
    made = await anyone.ok("POST", "/auth/signup", json={**GOOD, "colour": "red"})
    assert set(made) == {"message", "token", "username", "email"}
    assert (made["message"], made["username"], made["email"]) == (
        "signup successful",
        GOOD["username"],
        GOOD["email"],
    )
    entered = await anyone.ok("POST", "/auth/login", json=GOOD)
    assert set(entered) == {"token", "username", "email"}


async def test_both_are_taken_once(anyone: Api, user: Api) -> None:
    body = {"username": "auth_2", "email": user.email, "password": PASSWORD}
    await anyone.refused("POST", "/auth/signup", "user_exists", json=body)
    first = {"username": "auth_3", "email": "auth-3@contract.example", "password": PASSWORD}
    await anyone.ok("POST", "/auth/signup", json=first)
    again = {**first, "email": "auth-4@contract.example", "username": " auth_3 "}
    await anyone.refused("POST", "/auth/signup", "user_exists", json=again)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"username": None}, "missing_field", "username"),
        ({"username": ""}, "missing_field", "username"),
        ({"username": " "}, "missing_field", "username"),
        ({"username": "x" * 65}, "invalid_field", "username"),
        ({"username": 5}, "invalid_field", "username"),
        ({"username": "a\nb"}, "invalid_field", "username"),
        ({"email": "nobody"}, "invalid_field", "email"),
        ({"email": "a@b@c"}, "invalid_field", "email"),
        ({"email": True}, "invalid_field", "email"),
        ({"password": "1234567"}, "invalid_field", "password"),
        ({"password": "x" * 1025}, "invalid_field", "password"),
        ({"password": ["12345678"]}, "invalid_field", "password"),
        ({"password": None}, "missing_field", "password"),
    ],
)
async def test_signup_refusals_name_the_field(
    anyone: Api, change: dict[str, Any], code: str, field: str
) -> None:
    answer = await anyone.refused("POST", "/auth/signup", code, json={**GOOD, **change})
    assert answer.json["details"] == {"field": field}
    assert PASSWORD not in answer.body.decode()


@pytest.mark.parametrize("path", ["/auth/signup", "/auth/login"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"{} {}", b'{"email":"a","email":"b"}', b"\xff", b'{"email": NaN}', b"nul"],
)
async def test_one_json_object_and_nothing_else(anyone: Api, path: str, body: bytes) -> None:
    await anyone.refused("POST", path, "invalid_json", json=body)


async def test_a_json_body_has_a_limit(anyone: Api) -> None:
    await anyone.refused("POST", "/auth/login", "body_too_large", json=b'{"a":"' + b"x" * 65_536 + b'"}')


async def test_a_content_encoding_is_refused(anyone: Api) -> None:
    headers = {"Content-Encoding": "gzip"}
    await anyone.refused("POST", "/auth/login", "unsupported_media_type", json=GOOD, headers=headers)


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "nonsense"])
async def test_json_is_taken_under_any_content_type(anyone: Api, user: Api, content_type: str) -> None:
    body = {"email": user.email, "password": PASSWORD}
    await anyone.ok("POST", "/auth/login", json=body, headers={"Content-Type": content_type})


async def test_a_failed_login_is_400_and_tells_nothing(anyone: Api, user: Api) -> None:
    wrong = {"email": user.email, "password": "wrong"}
    unknown = {"email": "nobody@contract.example", "password": "wrong"}
    first = await anyone.refused("POST", "/auth/login", "invalid_credentials", json=wrong)
    second = await anyone.refused("POST", "/auth/login", "invalid_credentials", json=unknown)
    assert first.status == second.status == 400
    assert first.json["message"] == second.json["message"]
    assert "not found" not in first.json["message"].lower()


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Basic eA==", "Bearer a.b.c"])
async def test_a_stale_token_does_not_disturb(anyone: Api, user: Api, authorization: str) -> None:
    headers = {"Authorization": authorization}
    body = {"email": user.email, "password": PASSWORD}
    await anyone.ok("POST", "/auth/login", json=body, headers=headers)
    await anyone.refused("POST", "/auth/signup", "missing_field", json={}, headers=headers)


async def test_email_is_one_whatever_its_case(anyone: Api, user: Api) -> None:
    body = {"email": f" {user.email.upper()} ", "password": PASSWORD}
    assert (await anyone.ok("POST", "/auth/login", json=body))["email"] == user.email


async def test_a_token_outlives_setup_and_run(user: Api, system: System) -> None:
    claims = jwt.decode(
        user.token or "", system.stack.env["JWT_SECRET"], ["HS256"], audience="testbed", issuer="testbed-auth"
    )
    longest_s = 8 * 60 + 6 * 60  # set-up limit and the longest profile of the load scripts
    assert claims["exp"] - claims["iat"] == 3600 > longest_s


async def test_failed_logins_are_limited_and_others_are_not_harmed(make_user: MakeUser, anyone: Api) -> None:
    victim, other = await make_user(), await make_user()
    wrong = {"email": victim.email, "password": "wrong password"}
    codes: list[str] = []
    while "rate_limited" not in codes and len(codes) < 50:
        codes.append((await anyone.post("/auth/login", json=wrong)).code)
    assert 20 <= codes.count("invalid_credentials") <= 40  # a minute may have ended on the way
    limited = await anyone.refused("POST", "/auth/login", "rate_limited", json=wrong)
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    await anyone.ok("POST", "/auth/login", json={"email": other.email, "password": PASSWORD})


async def test_internal_routes_are_not_forwarded(anyone: Api) -> None:
    for path in (
        "/auth/internal/resolve-users",
        "/auth//internal/resolve-users",
        "/auth/x/../internal/resolve-users",
    ):
        await anyone.refused("POST", path, "route_not_found", json=["a@b.c"])
