"""Users' tokens."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest

from services.kit.clock import World
from tests.unit.gateway.support import KEY, USER, Recorder, bearer, fronting, recorded, serving, token
from tests.unit.gateway.wire import request_bytes, statuses

pytestmark = pytest.mark.contract
LOGIN = ("POST", "/auth/login")


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "user_id": str(USER),
        "username": "u",
        "email": "e",
        "tier": "standard",
        "iss": "testbed-auth",
        "aud": "testbed",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid4()),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _signed(algorithm: str = "HS256", key: str = KEY, **changes: Any) -> str:
    return "Bearer " + jwt.encode(_claims(**changes), key, algorithm=algorithm)


REFUSED_TOKENS = {
    "absent": (None, "authentication_required"),
    "basic": ("Basic dTpw", "token_malformed"),
    "no scheme": (token(), "token_malformed"),
    "empty": ("Bearer ", "token_malformed"),
    "not a token": ("Bearer abc", "token_malformed"),
    "three parts of nothing": ("Bearer a.b.c", "token_malformed"),
    "huge": ("Bearer " + "a" * 5_000, "token_malformed"),
    "alg none": (f"Bearer {_part({'alg': 'none'})}.{_part(_claims())}.", "token_invalid"),
    "alg NoNe": (f"Bearer {_part({'alg': 'NoNe'})}.{_part(_claims())}.", "token_invalid"),
    "alg HS512": (_signed("HS512", KEY * 2), "token_invalid"),
    "wrong key": (_signed(key="x" * 32), "token_invalid"),
    "wrong issuer": (_signed(iss="other"), "token_invalid"),
    "wrong audience": (_signed(aud="other"), "token_invalid"),
    "expired": (_signed(exp=int(time.time()) - 1), "token_expired"),
    "no user": (_signed(user_id=None), "token_invalid"),
    "no jti": (_signed(jti=None), "token_invalid"),
    "no iat": (_signed(iat=None), "token_invalid"),
    "no exp": (_signed(exp=None), "token_invalid"),
    "user is a number": (_signed(user_id=5), "token_invalid"),
    "tier is a list": (_signed(tier=["standard"]), "token_invalid"),
}


@pytest.mark.parametrize("name", REFUSED_TOKENS)
async def test_a_bad_token_is_401_with_its_reason(name: str) -> None:
    given, code = REFUSED_TOKENS[name]
    async with recorded() as (front, service):
        headers = {"Authorization": given} if given is not None else {}
        for method in ("GET", "GET"):  # the second time from the cache, if anything were cached
            answer = await front.request(method, "/api/upload/status", headers)
            assert (answer.status, answer.error) == (401, code)
            assert answer.value("WWW-Authenticate") == "Bearer"
        ignored = await front.request(*LOGIN, headers, b"{}")
        assert ignored.status == 200
    assert len(service.seen) == 1


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_compared_without_case(scheme: str) -> None:
    async with recorded() as (front, service):
        answer = await front.request("GET", "/api/upload/status", {"Authorization": f"{scheme} {token()}"})
    assert (answer.status, service.seen[0].value("X-User-ID")) == (200, str(USER))


async def test_two_authorization_headers_are_malformed() -> None:
    async with recorded() as (front, _):
        line = f"Authorization: Bearer {token()}"
        received = await front.raw(request_bytes("GET /api/upload/status", line, line, "Connection: close"))
    assert statuses(received) == [401]


async def test_an_optional_token_is_checked_when_it_is_there() -> None:
    path = "/api/files/f/00000000-0000-4000-8000-000000000001"
    async with recorded() as (front, service):
        assert (await front.request("GET", path)).status == 200
        assert (await front.request("GET", path, bearer())).status == 200
        assert (await front.request("GET", path, {"Authorization": "Bearer abc"})).status == 401
    assert [seen.values("X-User-ID") for seen in service.seen] == [[], [str(USER)]]


async def test_a_cached_token_still_expires() -> None:
    now = [time.time()]
    service = Recorder()
    async with serving(service.handle) as port, fronting(port, World(now=lambda: now[0])) as front:
        headers = bearer()
        assert (await front.request("GET", "/api/upload/status", headers)).status == 200
        now[0] += 3_601
        answer = await front.request("GET", "/api/upload/status", headers)
    assert (answer.status, answer.error) == (401, "token_expired")
