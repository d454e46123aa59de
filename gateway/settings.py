"""Settings of the gateway."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, model_validator

from services.kit.settings import (
    CallingSettings,
    Key,
    RedisSettings,
    Texts,
    Urls,
    comma_list,
    takes,
)

MAX_ITERATIONS, MAX_MIB, MAX_SLEEP_MS = 100_000_000, 256, 60_000
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


Computed = Annotated[int | None, takes("an integer, or empty")]


class Settings(CallingSettings, RedisSettings):
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
    admission: bool = Field(True, description="limit how many requests run and wait in this process at once")
    admission_layers: Literal["both", "ccu", "queue"] = Field(
        "both", description="which limits hold: all together, only that of MAX_CCU, or only workers and queue"
    )
    max_ccu: int = Field(5_000, ge=1, le=1_000_000, description="concurrent users this process is made for")
    ccu_utilisation: float = Field(
        0.67, ge=0, le=1, description="share of MAX_CCU that is let in; running and waiting together"
    )
    admission_workers: Computed = Field(
        None, ge=1, description="requests that run at once; empty: a tenth of those let in, 50 to 500"
    )
    admission_queue: Computed = Field(
        None, ge=0, description="requests that may wait; empty: the rest of those let in, at least 100"
    )
    queue_deadline_ms: int = Field(
        10_000, ge=1, le=600_000, description="milliseconds a request waits before 503 queue_timeout"
    )
    load_cpu_iterations: int = Field(
        0, ge=0, le=MAX_ITERATIONS, description="square roots that each bench request computes"
    )
    load_mem_mb: int = Field(0, ge=0, le=MAX_MIB, description="MiB that each bench request uses")
    mem_mode: Literal["alloc", "touch"] = Field(
        "alloc", description="bench requests allocate their memory, or touch a block made at the start"
    )
    load_sleep_ms: int = Field(0, ge=0, le=MAX_SLEEP_MS, description="milliseconds each bench request waits")
    load_fail_p: float = Field(0.0, ge=0, le=1, description="share of bench requests that fail on purpose")

    @property
    def admitted(self) -> int:
        """Requests that may run or wait at once; as typed, not as doubles multiply: 100 x 0.29 is 29."""
        return int(self.max_ccu * Decimal(str(self.ccu_utilisation)))

    @model_validator(mode="after")
    def _somebody_is_let_in(self) -> Self:
        if self.admission and self.admitted < 1:
            raise ValueError("MAX_CCU times CCU_UTILISATION lets nobody in: expected at least 1")
        return self

    @model_validator(mode="after")
    def _counts_have_a_place(self) -> Self:
        if self.rate_limit_backend == "redis":
            self.needs_redis("RATE_LIMIT_BACKEND")
        return self
