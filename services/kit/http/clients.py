"""Chooses the HTTP client; ``HTTP_CLIENT`` names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.kit.http.client import Address, Client
from services.kit.http.client_aiohttp import AiohttpClient
from services.kit.http.client_thin import ThinClient

DEFAULT = "thin"
CLIENTS: Mapping[str, Callable[[Address], Client]] = {"thin": ThinClient, "aiohttp": AiohttpClient}


def open_http(kind: str, address: Address) -> Client:
    """A client of this kind; its owner closes it."""
    return CLIENTS[kind](address)
