"""The identities that uploads are made under: signed up once per run, tokens prepared before any load."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from loadtests.harness.records.vocabulary import EMAIL_DOMAIN

# A password hash fills a core; more at once would only queue.
SIGNUPS_AT_ONCE = 4
SIGNUP_TIMEOUT = aiohttp.ClientTimeout(total=60)


class SignupFailed(Exception):
    """An identity could not be created; the message says what the service answered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One user of the harness. ``user_id`` is what the token names as its subject."""

    user_id: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Of a request under this name."""
        return {"Authorization": f"Bearer {self.token}"}


async def create_users(http: aiohttp.ClientSession, gateway_url: str, run: str, count: int) -> list[Identity]:
    """Sign up ``count`` users. Raises ``SignupFailed`` with the first refusal."""
    names = (f"{run}-{index:04d}-{secrets.token_hex(4)}" for index in range(count))
    return await _few_at_once(sign_up(http, gateway_url, name) for name in names)


async def sign_up(http: aiohttp.ClientSession, gateway_url: str, name: str) -> Identity:
    """Create one user and keep the token that sign-up answers with."""
    email = f"{name}@{EMAIL_DOMAIN}"
    password = secrets.token_urlsafe(24)
    facts = {"username": name, "email": email, "password": password}
    async with http.post(f"{gateway_url}/auth/signup", json=facts, timeout=SIGNUP_TIMEOUT) as answer:
        if answer.status != 200:
            text = (await answer.text())[:200]
            raise SignupFailed(f"signing up {email} was answered {answer.status}: {text}")
        token: str = (await answer.json())["token"]
    return Identity(subject_of(token), email, password, token)


async def log_in(http: aiohttp.ClientSession, gateway_url: str, user: Identity) -> Identity:
    """The same user with a fresh token: tokens live for an hour, a long run needs more."""
    facts = {"email": user.email, "password": user.password}
    async with http.post(f"{gateway_url}/auth/login", json=facts, timeout=SIGNUP_TIMEOUT) as answer:
        if answer.status != 200:
            raise SignupFailed(f"logging in {user.email} was answered {answer.status}")
        return replace(user, token=(await answer.json())["token"])


async def refresh(http: aiohttp.ClientSession, gateway_url: str, users: Sequence[Identity]) -> list[Identity]:
    """All users with fresh tokens."""
    return await _few_at_once(log_in(http, gateway_url, user) for user in users)


async def _few_at_once(works: Iterable[Coroutine[Any, Any, Identity]]) -> list[Identity]:
    slots = asyncio.Semaphore(SIGNUPS_AT_ONCE)

    async def one(work: Coroutine[Any, Any, Identity]) -> Identity:
        async with slots:
            return await work

    return list(await asyncio.gather(*map(one, works)))


def subject_of(token: str) -> str:
    """The user id inside a token. It is not verified: only the services' own keys can."""
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return str(claims["user_id"])
