"""Our HTTP client, to other services and to the store: what it costs less than aiohttp's stands in
docs/architecture.md."""

from services.kit.client.connection import Exchange
from services.kit.client.model import (
    FULL_BYTES,
    Address,
    Call,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from services.kit.client.pool import Client

__all__ = [
    "FULL_BYTES",
    "Address",
    "Call",
    "Client",
    "Exchange",
    "UpstreamBroken",
    "UpstreamError",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]
