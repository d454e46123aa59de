"""Chooses the HTTP server; ``HTTP_SERVER`` names it."""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.http.server import Server
from services.kit.http.server_aiohttp import AiohttpServer

SERVERS: Mapping[str, type[Server]] = {"own": Server, "aiohttp": AiohttpServer}
