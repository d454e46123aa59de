"""Settings of the auth service."""

from __future__ import annotations

import os
from dataclasses import dataclass

from services.auth.passwords import DEFAULT_SCHEME, SCHEMES
from services.kit.settings import (
    ProcessSettings,
    Secret,
    choice,
    integer,
    number,
    secret,
    setting,
    switch,
    text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ProcessSettings):
    database_url: Secret = setting("DATABASE_URL", secret(), help="where auth_db is")
    database_direct_url: Secret = setting(
        "DATABASE_DIRECT_URL",
        secret(),
        Secret(""),
        help="auth_db without a pooler between, for migrations; empty: DATABASE_URL",
    )
    db_prepared: bool = setting(
        "DB_PREPARED", switch(), True, help="prepared statements; off behind a pooler that cannot keep them"
    )
    jwt_secret: Secret = setting("JWT_SECRET", secret(32), help="key that signs users' tokens")
    jwt_issuer: str = setting("JWT_ISSUER", text(), "testbed-auth", help="`iss` of users' tokens")
    jwt_audience: str = setting("JWT_AUDIENCE", text(), "testbed", help="`aud` of users' tokens")
    jwt_ttl_s: int = setting("JWT_TTL_S", integer(1), 3600, help="life of a user's token in seconds")
    internal_key_gateway_auth: Secret = setting(
        "INTERNAL_KEY_GATEWAY_AUTH", secret(32), help="key of the credential that the gateway shows auth"
    )
    internal_key_files_auth: Secret = setting(
        "INTERNAL_KEY_FILES_AUTH", secret(32), help="key of the credential that files shows auth"
    )
    password_hash: str = setting(
        "PASSWORD_HASH",
        choice(*SCHEMES),
        DEFAULT_SCHEME,
        help="scheme of new password hashes; a stored hash is always verified by its own scheme",
    )
    hash_workers: int = setting(
        "HASH_WORKERS", integer(0, 256), 0, help="threads that hash passwords; 0: cores - 1, at least 1"
    )
    hash_queue: int = setting(
        "HASH_QUEUE", integer(0), 1000, help="requests that may wait for a hash; one more is 503 overloaded"
    )
    login_failures_per_min: int = setting(
        "LOGIN_FAILURES_PER_MIN",
        integer(1),
        20,
        help="failed logins per e-mail and clock minute before 429",
    )
    login_cache_s: float = setting(
        "LOGIN_CACHE_S",
        number(0, 3600),
        0.0,
        help="seconds a just verified password is believed without hashing it again; 0: never",
    )

    @property
    def effective_hash_workers(self) -> int:
        return self.hash_workers or max(1, (os.cpu_count() or 1) - 1)
