"""Where the audit looks: the three databases and the object store, read from one environment.

The load goes through the gateway only. These connections serve cleaning and the
ledger after it, and are opened for that time.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg
import urllib3
from dotenv import dotenv_values
from minio import Minio

PUBLISHED = "ports.env"  # what `make up` was given, in the run folder
ADDRESSES = ("GATEWAY_HOST", "PORT_SHIFT")
DATABASES = ("auth", "upload", "files")
STORE_CONNECTIONS = 16
CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 60.0
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class ConnectionsError(Exception):
    """The environment does not say where the system is; the message names every problem."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems) + " (run `make up` first)")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses and credentials of databases (by short name) and store."""

    databases: Mapping[str, str] = field(repr=False)
    s3_endpoint: str
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    s3_bucket: str
    s3_region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Databases:
    """One connection to each service's database."""

    auth: asyncpg.Connection
    upload: asyncpg.Connection
    files: asyncpg.Connection

    def named(self) -> dict[str, asyncpg.Connection]:
        return {"auth_db": self.auth, "upload_db": self.upload, "files_db": self.files}


def read_environment(root: Path, overrides: Mapping[str, str]) -> dict[str, str]:
    """Settings of a checkout: ``compose/ports.env``, over it those that `make up` was given (in the
    run folder), over them ``.env``, over it ``overrides``. VAULTBENCH_RUN_DIR and VAULTBENCH_ENV_FILE
    name another testbed.

    ``overrides`` is normally the process environment. ``${NAME}`` is replaced by the setting of that
    name; an unknown name stays as it is and shows up as a problem of whoever needs the value.
    """
    values: dict[str, str] = {}
    in_effect = Path(overrides.get("VAULTBENCH_RUN_DIR") or root / ".run") / PUBLISHED
    secrets = Path(overrides.get("VAULTBENCH_ENV_FILE") or root / ".env")
    for file in (root / "compose" / "ports.env", in_effect, secrets):
        values.update(settings_in(file))
    values.update(overrides)
    return {name: _expand(value, values, depth=8) for name, value in values.items()}


def contradictions(run_dir: Path, said: Mapping[str, str]) -> list[str]:
    """Where ``said`` names another port or address than the testbed in this folder was started with: it would
    be loaded at one place and judged at another."""
    return [
        f"{name}={said[name]}, and the testbed in {run_dir} has {value}"
        for name, value in settings_in(run_dir / PUBLISHED).items()
        if (name.endswith("_PORT") or name in ADDRESSES)
        and said.get(name)
        and said[name].strip("[]") != value.strip("[]")
    ]


def read_endpoints(environ: Mapping[str, str]) -> Endpoints:
    """Raises ``ConnectionsError`` naming every variable that is absent or malformed.

    ``PG_AUTH_HOST`` and so on name other hosts than this one, e.g. inside a network of containers.
    """
    problems: list[str] = []

    def host(name: str) -> str:
        return environ.get(name) or "127.0.0.1"

    def need(name: str) -> str:
        value = environ.get(name, "")
        if not value:
            problems.append(f"{name} is not set")
        return value

    def need_port(name: str) -> str:
        value = need(name)
        if value and not (value.isascii() and value.isdecimal() and 0 < int(value) < 65536):
            problems.append(f"{name}={value!r} is not a port")
        return value

    databases = {
        name: f"postgres://app:{quote(need(f'PG_{name.upper()}_PASSWORD'), safe='')}"
        f"@{host(f'PG_{name.upper()}_HOST')}:{need_port(f'PG_{name.upper()}_PORT')}"
        f"/{environ.get(f'PG_{name.upper()}_DATABASE') or f'{name}_db'}"
        for name in DATABASES
    }
    endpoints = Endpoints(
        databases=databases,
        s3_endpoint=f"{host('S3_HOST')}:{need_port('S3_PORT')}",
        s3_access_key=need("S3_ACCESS_KEY"),
        s3_secret_key=need("S3_SECRET_KEY"),
        s3_bucket=need("S3_BUCKET"),
        s3_region=environ.get("S3_REGION") or "us-east-1",
    )
    if problems:
        raise ConnectionsError(tuple(problems))
    return endpoints


@asynccontextmanager
async def open_databases(endpoints: Endpoints) -> AsyncIterator[Databases]:
    """Connections to all three databases; all that cannot be reached are named at once."""
    problems: list[str] = []
    opened: dict[str, asyncpg.Connection] = {}
    async with AsyncExitStack() as stack:
        for name, url in endpoints.databases.items():
            try:
                connection = await asyncpg.connect(
                    url,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=COMMAND_TIMEOUT_S,
                    # Cleaning up many uploads may take longer than the services allow themselves.
                    server_settings={"statement_timeout": f"{COMMAND_TIMEOUT_S:.0f}s"},
                )
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                problems.append(f"{name}_db cannot be reached: {error or type(error).__name__}")
                continue
            stack.push_async_callback(connection.close)
            opened[name] = connection
        if problems:
            raise ConnectionsError(tuple(problems))
        yield Databases(**opened)


def open_store(endpoints: Endpoints) -> Minio:
    """A client for threads: one pool, large enough for ``STORE_CONNECTIONS`` of them."""
    pool = urllib3.PoolManager(
        maxsize=STORE_CONNECTIONS,
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=COMMAND_TIMEOUT_S),
        retries=urllib3.Retry(total=3, backoff_factor=0.1, status_forcelist=(500, 502, 503, 504)),
    )
    return Minio(
        endpoints.s3_endpoint,
        access_key=endpoints.s3_access_key,
        secret_key=endpoints.s3_secret_key,
        secure=False,
        region=endpoints.s3_region,
        http_client=pool,
    )


def settings_in(path: Path) -> dict[str, str]:
    """Lines of NAME=value, quoted or not, of a file that a start-up wrote; none where there is no file."""
    found = dotenv_values(path, interpolate=False)
    return {name: value for name, value in found.items() if value is not None}


def _expand(value: str, values: Mapping[str, str], depth: int) -> str:
    if depth == 0 or "${" not in value:
        return value
    replaced = _REFERENCE.sub(lambda match: values.get(match[1], match[0]), value)
    return replaced if replaced == value else _expand(replaced, values, depth - 1)
