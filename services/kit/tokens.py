"""Tokens: the user's JWT and the credential one service shows another.

PyJWT decides; a bounded cache stands in front of it. A hit checks the expiry again, a rejected token
is never cached, and the oldest entry goes first, so that a burst of new tokens costs nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from cachetools import FIFOCache

from services.kit.codec import is_uuid
from services.kit.errors import Fault

MAX_TOKEN_BYTES = 8_192  # a header line; the longest name and e-mail, escaped, make 5.5 KiB
CACHE_ENTRIES = 10_000
CREDENTIAL_LIFE_S = 60
CREDENTIAL_LEEWAY_S = 180  # clocks of two hosts may differ
CREDENTIAL_CACHE_ENTRIES = 20_000
_LATEST_S = 2**53  # what a float holds exactly
_NO_CLOCK: dict[str, bool] = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}


@dataclass(frozen=True, slots=True)
class User:
    """A verified user token; ``expires_at`` in seconds since the epoch."""

    user_id: UUID
    username: str
    email: str
    tier: str
    expires_at: float


def _verified(token: str, key: str, audience: str, required: list[str]) -> dict[str, Any]:
    """Signature, algorithm, audience and presence of claims; times are the caller's.

    Raises:
        jwt.PyJWTError: for whatever is wrong.
    """
    header = jwt.get_unverified_header(token)
    if header.get("alg") != "HS256" or "crit" in header:
        raise jwt.InvalidAlgorithmError("algorithm")
    options: Any = {"require": required, **_NO_CLOCK}
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"], audience=audience, options=options)
    if type(claims["exp"]) is not int or type(claims["iat"]) is not int:
        raise jwt.InvalidTokenError("times")
    if abs(claims["exp"]) > _LATEST_S:
        raise jwt.InvalidTokenError("no time that a clock could show")
    return claims


class UserTokens:
    """Issues and verifies users' tokens (HS256).

    Args:
        key: at least 32 bytes.
        now: seconds since the epoch.
    """

    def __init__(
        self, key: str, issuer: str, audience: str, now: Callable[[], float], life_s: int = 3600
    ) -> None:
        self._key, self._issuer, self._audience = key, issuer, audience
        self._now, self._life_s = now, life_s
        self._cache: FIFOCache[str, User] = FIFOCache(CACHE_ENTRIES)

    def issue(self, user_id: UUID, username: str, email: str, tier: str, jti: UUID) -> str:
        issued_at = int(self._now())
        claims = {
            "user_id": str(user_id),
            "username": username,
            "email": email,
            "tier": tier,
            "iss": self._issuer,
            "aud": self._audience,
            "iat": issued_at,
            "exp": issued_at + self._life_s,
            "jti": str(jti),
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def verify(self, token: str) -> User:
        """Whose token this is.

        Raises:
            Fault: ``token_malformed``, ``token_invalid`` or ``token_expired``.
        """
        try:
            user = self._cache[token]
        except KeyError:
            user = self._decode(token)
            if user.expires_at > self._now():
                self._cache[token] = user
        if user.expires_at <= self._now():
            self._cache.pop(token, None)
            raise _token_fault("token_expired", "The token has expired.")
        return user

    def _decode(self, token: str) -> User:
        if len(token) > MAX_TOKEN_BYTES:
            raise _token_fault("token_malformed", "This is not a token.")
        try:
            claims = _verified(
                token, self._key, self._audience, ["user_id", "iss", "aud", "iat", "exp", "jti"]
            )
        except jwt.exceptions.InvalidAlgorithmError as error:
            raise _token_fault("token_invalid", "The token is not valid.") from error
        except (jwt.exceptions.InvalidSignatureError, jwt.exceptions.InvalidAudienceError) as error:
            raise _token_fault("token_invalid", "The token is not valid.") from error
        except jwt.exceptions.MissingRequiredClaimError as error:
            raise _token_fault("token_invalid", "The token is not valid.") from error
        except jwt.exceptions.DecodeError as error:
            raise _token_fault("token_malformed", "This is not a token.") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _token_fault("token_invalid", "The token is not valid.") from error
        texts = [claims["user_id"], claims["jti"], claims["iss"]]
        texts += [claims.get(name, "") for name in ("username", "email")] + [claims.get("tier", "standard")]
        good = all(isinstance(text, str) for text in texts) and claims["iss"] == self._issuer
        if not good or not is_uuid(claims["user_id"]) or not is_uuid(claims["jti"]):
            raise _token_fault("token_invalid", "The token is not valid.")
        username, email, tier = texts[3:]
        return User(UUID(claims["user_id"]), username, email, tier, float(claims["exp"]))


def _token_fault(code: str, message: str) -> Fault:
    return Fault(code, message, headers={"WWW-Authenticate": "Bearer"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a service: the issuing process and the user it acts for."""

    issuer: str
    user_id: UUID | None
    expires_at: float


class CredentialSigner:
    """Makes ``X-Service-Token`` values for one issuer and audience; each is reused for half its life."""

    def __init__(self, issuer: str, audience: str, key: str, now: Callable[[], float]) -> None:
        self._issuer, self._audience, self._key, self._now = issuer, audience, key, now
        self._cache: FIFOCache[str, tuple[str, float]] = FIFOCache(CREDENTIAL_CACHE_ENTRIES)

    def token(self, user_id: str | None) -> str:
        now, key = self._now(), user_id or ""
        if key in self._cache:
            token, until = self._cache[key]
            if until > now:
                return token
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": int(now),
            "exp": int(now) + CREDENTIAL_LIFE_S,
        }
        if user_id is not None:
            claims["uid"] = user_id
        token = jwt.encode(claims, self._key, algorithm="HS256")
        self._cache[key] = (token, now + CREDENTIAL_LIFE_S / 2)
        return token


class CredentialChecker:
    """Verifies ``X-Service-Token`` for one audience; ``keys`` maps issuer to key."""

    def __init__(self, audience: str, keys: Mapping[str, str], now: Callable[[], float]) -> None:
        self._audience, self._keys, self._now = audience, dict(keys), now
        self._cache: FIFOCache[str, Caller] = FIFOCache(CACHE_ENTRIES)

    def check(self, token: str | None, claimed_user_id: str | None) -> Caller:
        """Who calls, and for whom.

        Raises:
            Fault: ``service_credential_invalid``, also when ``claimed_user_id`` is not the credential's.
        """
        if not token:
            raise _credential_fault()
        try:
            caller = self._cache[token]
        except KeyError:
            caller = self._cache[token] = self._decode(token)
        if caller.expires_at + CREDENTIAL_LEEWAY_S <= self._now():
            self._cache.pop(token, None)
            raise _credential_fault()
        if claimed_user_id is not None and claimed_user_id.lower() != str(caller.user_id or ""):
            raise _credential_fault()
        return caller

    def _decode(self, token: str) -> Caller:
        if len(token) > MAX_TOKEN_BYTES:
            raise _credential_fault()
        for issuer, key in self._keys.items():
            try:
                claims = _verified(token, key, self._audience, ["iss", "aud", "iat", "exp"])
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
            uid = claims.get("uid")
            if claims["iss"] != issuer or not (uid is None or (isinstance(uid, str) and is_uuid(uid))):
                break
            return Caller(issuer, UUID(uid) if uid else None, float(claims["exp"]))
        raise _credential_fault()


def _credential_fault() -> Fault:
    return Fault("service_credential_invalid", "This service answers only its gateway and its peers.")
