"""The secrets of one testbed: made once, kept in a file only its owner reads, never changed after.

Losing the file while databases exist would lock everybody out: the passwords are inside the clusters. So
new secrets are only made where no data needs the old ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from compose import envfile

KEY_BYTES, PASSWORD_BYTES, NAME_BYTES = 32, 16, 10
SIZES: Mapping[str, int] = {
    "JWT_SECRET": KEY_BYTES,
    "INTERNAL_KEY_GATEWAY_AUTH": KEY_BYTES,
    "INTERNAL_KEY_GATEWAY_UPLOAD": KEY_BYTES,
    "INTERNAL_KEY_GATEWAY_FILES": KEY_BYTES,
    "INTERNAL_KEY_UPLOAD_FILES": KEY_BYTES,
    "INTERNAL_KEY_FILES_AUTH": KEY_BYTES,
    "INTERNAL_KEY_OPERATOR_UPLOAD": KEY_BYTES,
    "INTERNAL_KEY_OPERATOR_FILES": KEY_BYTES,
    "PG_AUTH_PASSWORD": PASSWORD_BYTES,
    "PG_UPLOAD_PASSWORD": PASSWORD_BYTES,
    "PG_FILES_PASSWORD": PASSWORD_BYTES,
    "S3_ACCESS_KEY": NAME_BYTES,
    "S3_SECRET_KEY": KEY_BYTES,
    "GRAFANA_PASSWORD": PASSWORD_BYTES,
    "REDIS_PASSWORD": PASSWORD_BYTES,
}
IN_DATA = ("PG_AUTH_PASSWORD", "PG_UPLOAD_PASSWORD", "PG_FILES_PASSWORD")


class CredentialsLost(Exception):
    """Data is there, the passwords that open it are not."""


def generate() -> dict[str, str]:
    """A complete new set, hexadecimal so that no shell, URL or compose file needs quoting."""
    return {name: secrets.token_hex(size) for name, size in SIZES.items()}


def ensure(path: Path, given: Mapping[str, str], *, data_exists: bool) -> dict[str, str]:
    """The secrets in `path`, with missing ones made and written; values of `given` (the environment) win."""
    kept = envfile.read(path) if path.exists() else {}
    missing = [name for name in SIZES if not kept.get(name)]
    lost = [name for name in missing if name in IN_DATA and not given.get(name)]
    if lost and data_exists:
        raise CredentialsLost(
            f"{path.name} lacks {', '.join(lost)}, but databases made with them exist. "
            f"Restore {path.name}, or run `make clean` to delete the data and start anew."
        )
    if missing:
        fresh = generate()
        kept |= {name: given.get(name) or fresh[name] for name in missing}
        envfile.write_secret(path, kept)
    return {**kept, **{name: given[name] for name in SIZES if given.get(name)}}
