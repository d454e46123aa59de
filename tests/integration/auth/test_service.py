"""The auth process on a real database, under the settings that change its behaviour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import jwt
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.kit.tokens import CredentialSigner
from tests.processes import Running, running_process

pytestmark = pytest.mark.integration

KEYS = {name: name.lower().ljust(40, "x") for name in ("JWT", "GATEWAY", "FILES")}
USER = {"username": "ada", "email": "ada@example.org", "password": "Test@1234"}


class Client:
    """Speaks to auth as the gateway or files does."""

    def __init__(self, session: aiohttp.ClientSession, process: Running) -> None:
        self._session, self.process = session, process

    async def post(self, path: str, body: Any, issuer: str = "gateway") -> tuple[int, Any]:
        token = CredentialSigner(issuer, "auth", KEYS[issuer.upper()], time.time).token(None)
        url = self.process.url + path
        async with self._session.post(url, json=body, headers={"X-Service-Token": token}) as answer:
            return answer.status, await answer.json()

    async def metric(self, name: str, **labels: str) -> float:
        async with self._session.get(f"{self.process.admin_url}/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def auth(database_url: str, **settings: str) -> AsyncIterator[Client]:
    environment = {
        "DATABASE_URL": database_url,
        "JWT_SECRET": KEYS["JWT"],
        "INTERNAL_KEY_GATEWAY_AUTH": KEYS["GATEWAY"],
        "INTERNAL_KEY_FILES_AUTH": KEYS["FILES"],
        "PASSWORD_HASH": "sha256",
        **settings,
    }
    async with running_process("services.auth", environment) as process, aiohttp.ClientSession() as session:
        yield Client(session, process)


async def test_signup_login_and_what_the_token_says(database_url: str) -> None:
    async with auth(database_url, JWT_TTL_S="77") as client:
        status, signed_up = await client.post("/signup", {**USER, "email": " Ada@Example.org "})
        assert (status, signed_up["message"], signed_up["email"]) == (200, "signup successful", USER["email"])
        status, logged_in = await client.post("/login", USER)
        assert (status, set(logged_in)) == (200, {"token", "username", "email"})
    for token in (signed_up["token"], logged_in["token"]):
        claims = jwt.decode(token, KEYS["JWT"], ["HS256"], audience="testbed", issuer="testbed-auth")
        assert (claims["username"], claims["email"], claims["tier"]) == ("ada", USER["email"], "standard")
        assert claims["exp"] - claims["iat"] == 77
        assert str(UUID(claims["user_id"])) == claims["user_id"]
        assert UUID(claims["jti"]).version == 4


async def test_two_replicas_start_together_on_an_empty_database(database_url: str) -> None:
    async with auth(database_url) as one, auth(database_url) as two:
        assert (await one.post("/signup", USER))[0] == 200
        assert (await two.post("/login", USER))[0] == 200
        connection = await asyncpg.connect(database_url)
        rows = await connection.fetch("SELECT version, name FROM schema_migrations")
        assert [tuple(row) for row in rows] == [(1, "users")]
        await connection.close()


async def test_the_same_name_or_email_at_once_makes_one_account(database_url: str) -> None:
    async with auth(database_url) as client:
        outcomes = await asyncio.gather(*(client.post("/signup", USER) for _ in range(8)))
        assert sorted(status for status, _ in outcomes) == [200] + [409] * 7
        for change in ({"username": "bob"}, {"email": "bob@example.org"}):
            status, body = await client.post("/signup", {**USER, **change})
            assert (status, body["error"]) == (409, "user_exists")


@pytest.mark.parametrize("scheme", ["argon2id", "scrypt", "bcrypt", "pbkdf2", "sha256"])
async def test_an_account_of_any_scheme_logs_in_under_any_setting(database_url: str, scheme: str) -> None:
    async with auth(database_url, PASSWORD_HASH=scheme) as client:
        assert (await client.post("/signup", USER))[0] == 200
        assert await client.metric("auth_password_hash_seconds_count", scheme=scheme, op="hash") == 1
    async with auth(database_url, PASSWORD_HASH="argon2id") as client:
        assert (await client.post("/login", USER))[0] == 200
        assert await client.metric("auth_password_hash_seconds_count", scheme=scheme, op="verify") == 1


async def test_failed_logins_are_limited_per_email(database_url: str) -> None:
    async with auth(database_url, LOGIN_FAILURES_PER_MIN="3") as client:
        await client.post("/signup", USER)
        wrong = {**USER, "password": "wrong password"}
        answers = await asyncio.gather(*(client.post("/login", wrong) for _ in range(10)))
        codes = sorted(body["error"] for _, body in answers)
        # A minute may end between two of them; both halves then have their own three.
        assert codes.count("invalid_credentials") in {3, 4, 5, 6}
        assert await client.metric("rate_limited_total", scope="login") == codes.count("rate_limited") > 0
        assert (await client.post("/login", {**wrong, "email": "other@example.org"}))[0] == 400
        assert await client.metric("auth_logins_total", result="invalid") == (
            codes.count("invalid_credentials") + 1
        )


async def test_unknown_email_and_wrong_password_are_told_apart_by_nothing(database_url: str) -> None:
    async with auth(database_url) as client:
        await client.post("/signup", USER)
        wrong = await client.post("/login", {**USER, "password": "wrong password"})
        unknown = await client.post("/login", {**USER, "email": "nobody@example.org"})
        assert wrong[0] == unknown[0] == 400
        assert {**wrong[1], "request_id": ""} == {**unknown[1], "request_id": ""}
        assert "not found" not in wrong[1]["message"]
        assert await client.metric("auth_password_hash_seconds_count", op="verify") == 2


async def test_a_full_queue_refuses_before_the_body_is_read(database_url: str) -> None:
    """The other requests never send their body: only a refusal that needs none can answer one."""
    async with auth(database_url, HASH_QUEUE="0", HASH_WORKERS="1", PASSWORD_HASH="pbkdf2") as client:
        await client.post("/signup", USER)
        slow = asyncio.create_task(client.post("/login", USER))
        heads = list[asyncio.Task[str]]()
        async with asyncio.timeout(30):
            while not any(one.done() for one in heads):
                if not slow.done():
                    heads.append(asyncio.create_task(_head_of_unsent_login(client.process.url)))
                await asyncio.wait(heads, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
        head = next(one.result() for one in heads if one.done())
        for one in heads:
            one.cancel()
        await asyncio.gather(*heads, return_exceptions=True)
        assert int(head.split()[1]) == 503
        assert "retry-after: 1" in head.lower()
        assert "x-error-code: overloaded" in head.lower()
        assert (await slow)[0] == 200
        assert await client.metric("auth_logins_total", result="overloaded") >= 1


async def _head_of_unsent_login(url: str) -> str:
    """The answer's head; never comes back where the service waits for the body."""
    host, port = url.removeprefix("http://").split(":")
    token = CredentialSigner("gateway", "auth", KEYS["GATEWAY"], time.time).token(None)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            f"POST /login HTTP/1.1\r\nHost: auth\r\nX-Service-Token: {token}\r\n"
            "Content-Length: 40\r\n\r\n".encode()
        )
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    finally:
        writer.close()


async def test_a_waiter_whose_client_left_costs_no_hash(database_url: str) -> None:
    async with auth(database_url, HASH_WORKERS="1", PASSWORD_HASH="pbkdf2") as client:
        await client.post("/signup", USER)
        waiting = [asyncio.create_task(client.post("/login", USER)) for _ in range(6)]
        while await client.metric("db_query_seconds_count", statement="user_by_email") < 6:
            await asyncio.sleep(0.01)
        for task in waiting[1:]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (await client.post("/login", USER))[0] == 200
        assert await client.metric("auth_password_hash_seconds_count", op="verify") < 7


async def test_login_cache_proves_without_hashing_until_the_password_changes(database_url: str) -> None:
    async with auth(database_url, LOGIN_CACHE_S="60") as client:
        await client.post("/signup", USER)
        for _ in range(3):
            assert (await client.post("/login", USER))[0] == 200
        assert await client.metric("auth_logins_total", result="ok", cache="miss") == 1
        assert await client.metric("auth_logins_total", result="ok", cache="hit") == 2
        assert await client.metric("auth_password_hash_seconds_count", op="verify") == 1
        assert (await client.post("/login", {**USER, "password": "wrong password"}))[0] == 400
        connection = await asyncpg.connect(database_url)
        await connection.execute("UPDATE users SET password_hash = '$sha256$i=1$AAAA$AAAA'")
        await connection.close()
        assert (await client.post("/login", USER))[0] == 400


async def test_resolve_users_is_for_files_only(database_url: str) -> None:
    async with auth(database_url) as client:
        _, made = await client.post("/signup", USER)
        user_id = jwt.decode(made["token"], options={"verify_signature": False})["user_id"]
        emails = ["ADA@example.org ", "nobody@example.org"]
        status, found = await client.post("/internal/resolve-users", emails, issuer="files")
        assert (status, found) == (200, {"ada@example.org": user_id})
        status, body = await client.post("/internal/resolve-users", emails)
        assert (status, body["error"]) == (401, "service_credential_invalid")
        assert (await client.post("/login", USER, issuer="files"))[0] == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"emails": []}, "invalid_json"),
        ([], "missing_field"),
        (["a@b"] * 101, "invalid_field"),
        ([1], "invalid_field"),
    ],
)
async def test_resolve_users_refusals(database_url: str, body: Any, code: str) -> None:
    async with auth(database_url) as client:
        status, answer = await client.post("/internal/resolve-users", body, issuer="files")
        assert (status, answer["error"]) == (400, code)


async def test_a_database_fault_is_never_the_clients(database_url: str) -> None:
    async with auth(database_url) as client:
        connection = await asyncpg.connect(database_url)
        await connection.execute("DROP TABLE users")
        await connection.close()
        status, body = await client.post("/login", USER)
        assert (status, body["error"]) == (500, "internal_error")
        assert "users" not in body["message"]
        assert await client.metric("auth_logins_total", result="error") == 1
