"""Which object store runs: STORE. Both listen on S3_PORT with the same keys, so nobody else has to know."""

from __future__ import annotations

from collections.abc import Mapping

MINIO, VERSITYGW = "minio", "versitygw"
STORES = (MINIO, VERSITYGW)


def chosen(env: Mapping[str, str]) -> str:
    """The name of the store: of its part, and of its program."""
    return env.get("STORE") or MINIO


def others(env: Mapping[str, str]) -> set[str]:
    """Parts that do not run because another store does."""
    return {*STORES} - {chosen(env)}
