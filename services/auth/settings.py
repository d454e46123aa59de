"""Settings of the auth service."""

from __future__ import annotations

import os

from pydantic import Field

from services.auth.passwords import DEFAULT_SCHEME, SchemeName
from services.kit.settings import DatabaseSettings, Key


class Settings(DatabaseSettings):
    jwt_secret: Key = Field(description="key that signs users' tokens")
    jwt_issuer: str = Field("testbed-auth", description="`iss` of users' tokens")
    jwt_audience: str = Field("testbed", description="`aud` of users' tokens")
    jwt_ttl_s: int = Field(3600, ge=1, description="life of a user's token in seconds")
    internal_key_gateway_auth: Key = Field(description="key of the credential that the gateway shows auth")
    internal_key_files_auth: Key = Field(description="key of the credential that files shows auth")
    password_hash: SchemeName = Field(
        DEFAULT_SCHEME,
        description="scheme of new password hashes; a stored hash is always verified by its own scheme",
    )
    hash_workers: int = Field(
        0, ge=0, le=256, description="threads that hash passwords; 0: cores - 1, at least 1"
    )
    hash_queue: int = Field(
        1_000, ge=0, description="requests that may wait for a hash; one more is 503 overloaded"
    )
    login_failures_per_min: int = Field(
        20, ge=1, description="failed logins per e-mail and clock minute before 429"
    )
    login_cache_s: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="seconds a just verified password is believed without hashing it again; 0: never",
    )

    @property
    def effective_hash_workers(self) -> int:
        return self.hash_workers or max(1, (os.cpu_count() or 1) - 1)
