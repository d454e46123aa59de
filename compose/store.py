"""Which object store runs: STORE. Both listen on S3_PORT with the same keys, so nobody else has to know.

The services have a key of their own, and the part `store-key` says what it may do. That is also where MinIO
gets to know it; versitygw reads it from a file of accounts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

MINIO, VERSITYGW = "minio", "versitygw"
STORES = (MINIO, VERSITYGW)
ADDED: Mapping[str, Path] = {VERSITYGW: Path(__file__).with_name("native.versitygw.yaml")}
ROLE = "user"  # it makes no buckets


def chosen(env: Mapping[str, str]) -> str:
    """The name of the store: of its part, and of its program."""
    return env.get("STORE") or MINIO


def others(env: Mapping[str, str]) -> frozenset[str]:
    """Parts that do not run because another store does."""
    return frozenset(STORES) - {chosen(env)}


def additions(env: Mapping[str, str]) -> list[tuple[Path, None]]:
    """What is added to native.yaml, as `switches.additions` says it."""
    return [(ADDED[name], None) for name in ADDED if name == chosen(env)]


def prepare(run_dir: Path, env: Mapping[str, str]) -> None:
    """The file of accounts that versitygw reads at start; nothing for another store."""
    if chosen(env) != VERSITYGW:
        return
    folder = run_dir / VERSITYGW
    folder.mkdir(mode=0o700, exist_ok=True)
    key = {"access": env["S3_ACCESS_KEY"], "secret": env["S3_SECRET_KEY"], "role": ROLE}
    accounts = {"accessAccounts": {env["S3_ACCESS_KEY"]: key}}
    file = folder / "users.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(accounts))
