"""Fixtures of the kit's tests."""

from tests.unit.kit.upstream_peer import http_client

__all__ = ["http_client"]
