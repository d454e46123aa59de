"""Settings of the gateway."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, model_validator

from services.kit.settings import (
    Key,
    RedisSettings,
    Texts,
    Urls,
    comma_list,
    takes,
)

DEFAULT_TIER = "standard"
DEFAULT_TIERS = {DEFAULT_TIER: 100_000}
Network = IPv4Network | IPv6Network


def _limits(text: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in comma_list(text)]
    return {name.strip(): limit for name, _, limit in pairs}


def _with_default(limits: dict[str, int]) -> dict[str, int]:
    if DEFAULT_TIER not in limits:
        raise ValueError(limits)
    return limits


Tiers = Annotated[
    dict[Annotated[str, Field(min_length=1)], NonNegativeInt],
    BeforeValidator(_limits),
    AfterValidator(_with_default),
    takes(f"a comma list of tier=requests, {DEFAULT_TIER} among them"),
]
Networks = Annotated[
    tuple[Network, ...],
    BeforeValidator(comma_list),
    takes("a comma list of addresses or networks, like 10.0.0.0/8"),
]


class Settings(RedisSettings):
    jwt_secret: Key = Field(description="key that users' tokens are signed with")
    jwt_issuer: str = Field("testbed-auth", description="`iss` of users' tokens")
    jwt_audience: str = Field("testbed", description="`aud` of users' tokens")
    key_auth: Key = Field(
        alias="INTERNAL_KEY_GATEWAY_AUTH", description="key of the credential that the gateway shows auth"
    )
    key_upload: Key = Field(
        alias="INTERNAL_KEY_GATEWAY_UPLOAD", description="key of the credential that the gateway shows upload"
    )
    key_files: Key = Field(
        alias="INTERNAL_KEY_GATEWAY_FILES", description="key of the credential that the gateway shows files"
    )
    auth_urls: Urls = Field(description="where the auth replicas are")
    upload_urls: Urls = Field(description="where the upload replicas are")
    files_urls: Urls = Field(description="where the files replicas are")
    upstream_pool: int = Field(512, ge=1, le=65_535, description="connections to one upstream address")
    cors_origins: Texts = Field((), description="more allowed browser origins, matched exactly")
    hsts: bool = Field(False, description="send Strict-Transport-Security")
    trusted_proxies: Networks = Field((), description="peers whose X-Forwarded-* headers are believed")
    rate_limit: bool = Field(True, description="limit requests per address and user")
    rate_limit_backend: Literal["memory", "redis"] = Field(
        "memory", description="who counts: each gateway process for itself, or Redis for all of them"
    )
    rate_limit_ip: int = Field(100_000, ge=0, description="requests per address and clock minute")
    rate_limit_tiers: Tiers = Field(DEFAULT_TIERS, description="requests per user and clock minute, by tier")

    @model_validator(mode="after")
    def _counts_have_a_place(self) -> Self:
        if self.rate_limit_backend == "redis":
            self.needs_redis("RATE_LIMIT_BACKEND")
        return self
