"""Chooses the HTTP client; ``HTTP_CLIENT`` names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.kit.http.client import Address, Client
from services.kit.http.client_aiohttp import AiohttpClient
from services.kit.http.client_thin import ThinClient
from services.kit.settings import choice, setting

DEFAULT = "thin"
CLIENTS: Mapping[str, Callable[[Address], Client]] = {"thin": ThinClient, "aiohttp": AiohttpClient}


def client_setting() -> Any:
    """The field of a process's settings that names its client."""
    return setting(
        "HTTP_CLIENT",
        choice(*CLIENTS),
        DEFAULT,
        help="HTTP client for other services and the store: our own or aiohttp's",
    )


def open_http(kind: str, address: Address) -> Client:
    """A client of this kind; its owner closes it."""
    return CLIENTS[kind](address)
