"""Parts that run only when a setting asks for them: Redis, PgBouncer.

`RATE_LIMIT_BACKEND=redis` and `CACHE=redis` ask for Redis, each for other processes. `POOLER=pgbouncer` puts
PgBouncer between the services and their databases; the scaled topology has it unless `POOLER=none`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MEMORY, REDIS, NONE, PGBOUNCER = "memory", "redis", "none", "pgbouncer"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "RATE_LIMIT_BACKEND": ("", MEMORY, REDIS),
    "CACHE": ("", NONE, MEMORY, REDIS),
    "POOLER": ("", NONE, PGBOUNCER),
}
# Who uses Redis, by the setting that asks for it.
REDIS_USERS: Mapping[str, tuple[str, ...]] = {
    "RATE_LIMIT_BACKEND": ("gateway",),
    "CACHE": ("upload", "files"),
}
NGINX_PART, REDIS_PART, POOLER_PART = "nginx", "redis", "pgbouncer"
_FOLDER = Path(__file__).parent
SCALED_FILE = _FOLDER / "native.scaled.yaml"
POOLER_FILE = _FOLDER / "native.pooler.yaml"
REDIS_FILE = _FOLDER / "native.redis.yaml"


def pooler(environ: Mapping[str, str], *, scaled: bool) -> str:
    """What stands between the services and their databases."""
    return environ.get("POOLER") or (PGBOUNCER if scaled else NONE)


def pooled(env: Mapping[str, str]) -> bool:
    return env.get("POOLER") == PGBOUNCER


def redis_users(env: Mapping[str, str]) -> frozenset[str]:
    """Parts that use Redis; none of them: it does not run."""
    asking = [parts for setting, parts in REDIS_USERS.items() if env.get(setting) == REDIS]
    return frozenset(part for parts in asking for part in parts)


def programs(env: Mapping[str, str], *, scaled: bool) -> tuple[str, ...]:
    """External programs that run only because a setting asks for them."""
    wanted = {NGINX_PART: scaled, POOLER_PART: pooled(env), REDIS_PART: bool(redis_users(env))}
    return tuple(name for name, asked in wanted.items() if asked)


def unused_ports(env: Mapping[str, str], *, scaled: bool) -> frozenset[str]:
    """Variables of ports on which nothing listens."""
    left_out = {NGINX_PART, POOLER_PART, REDIS_PART} - set(programs(env, scaled=scaled))
    return frozenset(f"{name.upper()}_PORT" for name in left_out)


def additions(env: Mapping[str, str], *, scaled: bool) -> list[tuple[Path, frozenset[str] | None]]:
    """What is added to native.yaml: a file, and which of its parts (None: all)."""
    found: list[tuple[Path, frozenset[str] | None]] = []
    if scaled:
        found.append((SCALED_FILE, None))
    if pooled(env):
        found.append((POOLER_FILE, None))
    if users := redis_users(env):
        found.append((REDIS_FILE, users | {REDIS_PART}))
    return found


def problems(environ: Mapping[str, str], files: int) -> list[str]:
    """What does not go together; `files` is how many processes of that service run."""
    if environ.get("CACHE") != MEMORY or files == 1:
        return []
    return [
        f"CACHE=memory: {files} processes of files run, and none would see what another one changed; "
        "CACHE=redis is for several, WORKERS=1 has one of each"
    ]
