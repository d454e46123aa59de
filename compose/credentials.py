"""The secrets of one testbed: made once, kept in a file only its owner reads, never changed after.

Losing the file while databases exist would lock everybody out: the passwords are inside the clusters. So
new secrets are only made where no data needs the old ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from compose import envfile

LIST = Path(__file__).with_name("secrets.list")


def _column(index: int) -> dict[str, int]:
    lines = (line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#"))
    return {columns[0]: int(columns[index]) for columns in lines}


# Random bytes of each secret, and characters that its reader wants at least. The start-up of containers,
# which has no Python, reads the same list.
SIZES: Mapping[str, int] = _column(1)
LEAST: Mapping[str, int] = _column(2)
IN_DATA = ("PG_AUTH_PASSWORD", "PG_UPLOAD_PASSWORD", "PG_FILES_PASSWORD")


class CredentialsLost(Exception):
    """Data is there, the passwords that open it are not."""


def generate() -> dict[str, str]:
    """A complete new set, hexadecimal so that no shell, URL or compose file needs quoting."""
    return {name: secrets.token_hex(size) for name, size in SIZES.items()}


def ensure(path: Path, given: Mapping[str, str], *, data_exists: bool) -> dict[str, str]:
    """The secrets in `path`, with missing ones made and written; values of `given` (the environment) win.

    Raises `EnvError` for those that are too short, and `CredentialsLost`; nothing is written then.
    """
    kept = envfile.read(path) if path.exists() else {}
    if problems := [*_short(given, "the environment"), *_short(kept, path.name)]:
        raise envfile.EnvError(problems)
    missing = [name for name in SIZES if not kept.get(name)]
    lost = [name for name in missing if name in IN_DATA and not given.get(name)]
    if lost and data_exists:
        raise CredentialsLost(
            f"{path.name} lacks {', '.join(lost)}, but databases made with them exist. "
            f"Restore {path.name}, or run `make clean` to delete the data and start anew."
        )
    if missing:
        fresh = generate()
        added = {name: given.get(name) or fresh[name] for name in missing}
        envfile.add_secrets(path, added)
        kept |= added
    return {name: given.get(name) or kept[name] for name in SIZES}


def _short(values: Mapping[str, str], where: str) -> list[str]:
    """What no service would start with. An empty value counts as none."""
    return [
        f"{name} in {where} has {len(values[name])} characters; at least {least} are needed: "
        "leave it out, and one is made"
        for name, least in LEAST.items()
        if 0 < len(values.get(name, "")) < least
    ]
