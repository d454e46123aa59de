"""Settings of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from services.kit.settings import (
    Parser,
    ProcessSettings,
    Secret,
    choice,
    integer,
    secret,
    setting,
    switch,
    text,
    text_list,
    url_list,
)

DEFAULT_TIER = "standard"
DEFAULT_TIERS = {DEFAULT_TIER: 100_000}
Network = IPv4Network | IPv6Network


def tiers() -> Parser:
    def read(value: str) -> dict[str, int]:
        limits = {}
        for item in filter(None, (part.strip() for part in value.split(","))):
            name, _, limit = item.partition("=")
            limits[name.strip()] = int(limit)
        if DEFAULT_TIER not in limits or min(limits.values()) < 0 or not all(limits):
            raise ValueError(value)
        return limits

    return Parser(read, f"a comma list of tier=requests, {DEFAULT_TIER} among them")


def network_list() -> Parser:
    def read(value: str) -> tuple[str, ...]:
        return tuple(str(ip_network(item.strip())) for item in value.split(",") if item.strip())

    return Parser(read, "a comma list of addresses or networks, like 10.0.0.0/8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ProcessSettings):
    jwt_secret: Secret = setting("JWT_SECRET", secret(32), help="key that users' tokens are signed with")
    jwt_issuer: str = setting("JWT_ISSUER", text(), "testbed-auth", help="`iss` of users' tokens")
    jwt_audience: str = setting("JWT_AUDIENCE", text(), "testbed", help="`aud` of users' tokens")
    key_auth: Secret = setting(
        "INTERNAL_KEY_GATEWAY_AUTH", secret(32), help="key of the credential that the gateway shows auth"
    )
    key_upload: Secret = setting(
        "INTERNAL_KEY_GATEWAY_UPLOAD", secret(32), help="key of the credential that the gateway shows upload"
    )
    key_files: Secret = setting(
        "INTERNAL_KEY_GATEWAY_FILES", secret(32), help="key of the credential that the gateway shows files"
    )
    auth_urls: tuple[str, ...] = setting("AUTH_URLS", url_list(), help="where the auth replicas are")
    upload_urls: tuple[str, ...] = setting("UPLOAD_URLS", url_list(), help="where the upload replicas are")
    files_urls: tuple[str, ...] = setting("FILES_URLS", url_list(), help="where the files replicas are")
    upstream_pool: int = setting(
        "UPSTREAM_POOL", integer(1, 65_535), 512, help="connections to one upstream address"
    )
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS", text_list(), (), help="more allowed browser origins, matched exactly"
    )
    hsts: bool = setting("HSTS", switch(), False, help="send Strict-Transport-Security")
    trusted_proxies: tuple[str, ...] = setting(
        "TRUSTED_PROXIES", network_list(), (), help="peers whose X-Forwarded-* headers are believed"
    )
    rate_limit: bool = setting("RATE_LIMIT", switch(), True, help="limit requests per address and user")
    rate_limit_backend: str = setting(
        "RATE_LIMIT_BACKEND", choice("memory"), "memory", help="where the request counts are kept"
    )
    rate_limit_ip: int = setting(
        "RATE_LIMIT_IP", integer(0), 100_000, help="requests per address and clock minute"
    )
    rate_limit_tiers: dict[str, int] = setting(
        "RATE_LIMIT_TIERS", tiers(), DEFAULT_TIERS, help="requests per user and clock minute, by tier"
    )

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        return tuple(ip_network(item) for item in self.trusted_proxies)
