"""Testbeds of the test suite: own folder, own free ports, own secrets; gone without a trace afterwards.

``running_system`` is everything but Prometheus, as ``make up`` starts it. ``running_backends`` is one
Postgres server and one S3 store, for tests that need no process of ours. Programs come from MINIO_BIN
and POSTGRES_BIN_DIR when set, else from the tool cache that ``make up`` fills.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from compose import stack, store
from compose.installer.programs import Installer
from compose.scraping import EXPORTER_PROGRAMS
from loadtests.harness.records.vocabulary import service_of
from tests.leftovers import RUN, owned_folder

PYTHON_PARTS = ("auth", "upload", "files", "gateway")
ADMIN = {part: f"{part.upper()}_ADMIN_PORT" for part in PYTHON_PARTS}
FASTER = {"PASSWORD_HASH": "sha256"}  # unit and auth tests cover argon2id; here logins are set-up


@dataclass(frozen=True, slots=True)
class Backends:
    """One Postgres server and one object store."""

    stack: stack.Stack

    def store_settings(self) -> dict[str, str]:
        """The S3 variables of a service, but root's key; the bucket is created by whoever uses it."""
        env = self.stack.env
        root = {"S3_ACCESS_KEY": env["MINIO_ROOT_USER"], "S3_SECRET_KEY": env["MINIO_ROOT_PASSWORD"]}
        return {key: value for key, value in env.items() if key.startswith("S3_")} | root

    def database_url(self, name: str) -> str:
        env = self.stack.env
        return f"postgresql://app:{env['PG_AUTH_PASSWORD']}@127.0.0.1:{env['PG_AUTH_PORT']}/{name}"

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a new, empty database that is dropped afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        admin = await asyncpg.connect(self.database_url("auth_db"))
        try:
            await admin.execute(f"CREATE DATABASE {name}")
            yield self.database_url(name)
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await admin.close()


@dataclass(frozen=True, slots=True)
class System:
    """The whole system, running."""

    stack: stack.Stack

    @property
    def gateway(self) -> str:
        """Where clients go: a gateway, or what stands in front of several."""
        return self.stack.env["GATEWAY_URL"]

    @property
    def store(self) -> str:
        """The endpoint for which clients' URLs are signed."""
        return self.stack.env["S3_PUBLIC_ENDPOINT"]

    @property
    def store_part(self) -> str:
        """The name of the object store among the parts."""
        return store.chosen(self.stack.env)

    def service(self, part: str) -> str:
        """A process's own public port, past the gateway."""
        return f"http://127.0.0.1:{self.stack.env[f'{part.upper()}_PORT']}"

    def admin(self, part: str) -> str:
        return f"http://127.0.0.1:{self.stack.env[ADMIN[part]]}"

    def database_url(self, part: str) -> str:
        env, name = self.stack.env, part.upper()
        return f"postgresql://app:{env[f'PG_{name}_PASSWORD']}@127.0.0.1:{env[f'PG_{name}_PORT']}/{part}_db"

    def log_sizes(self) -> dict[str, int]:
        """Where each process's last whole line ends; hand it to ``complaints`` later."""
        return {part: len(_whole_lines(path)) for part, path in self._logs()}

    def complaints(self, since: Mapping[str, int]) -> list[str]:
        """Error lines and anything that is no log line at all, written after ``since``."""
        found = []
        for part, path in self._logs():
            lines = _whole_lines(path)[since.get(part, 0) :].decode(errors="replace").splitlines()
            found += [f"{part}: {line}" for line in lines if _complains(line)]
        return found

    def answers(self) -> list[dict[str, Any]]:
        """The access log of all processes: one record for every request that was answered."""
        records = [
            json.loads(line) for _, path in self._logs() for line in _whole_lines(path).decode().splitlines()
        ]
        return [record for record in records if record.get("event") == "request"]

    def _logs(self) -> Iterable[tuple[str, Path]]:
        for path in sorted((self.stack.run_dir / "logs").glob("*.log")):
            if service_of(path.stem) in PYTHON_PARTS:
                yield path.stem, path


def _whole_lines(path: Path) -> bytes:
    """The log up to its last line break: a block may be half written while it is read."""
    text = path.read_bytes()
    return text[: text.rfind(b"\n") + 1]


def _complains(line: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return bool(line.strip())
    return not isinstance(record, dict) or record.get("level") not in {"debug", "info", "warning"}


Added = Mapping[str, Mapping[str, str]]


@contextmanager
def running_system(
    environment: Added | Callable[[Mapping[str, str]], Added] | None = None,
    *,
    without: Iterable[str] = (),
    chosen: Mapping[str, str] | None = None,
) -> Iterator[System]:
    """Start everything, wait until it is healthy, and end it.

    Args:
        environment: extra variables by part; or what makes them, once the ports are chosen.
        without: parts to leave out, besides Prometheus.
        chosen: what `make up` would be given, e.g. TOPOLOGY.
    """

    def added(env: Mapping[str, str]) -> Added:
        given = environment(env) if callable(environment) else environment
        return {"auth": FASTER, **(given or {})}

    with _started({"prometheus", *without}, added, chosen) as started:
        yield System(started)


@contextmanager
def running_watched() -> Iterator[System]:
    """The whole system with Prometheus and, where their packages can be had, the exporters."""
    with Installer(os.environ, echo=lambda line: print(line, file=sys.stderr)) as tools:
        exporters = tools.locate((), optional=EXPORTER_PROGRAMS)
    with _started(set(), lambda _: {"auth": FASTER}, exporters) as started:
        yield System(started)


@contextmanager
def running_backends() -> Iterator[Backends]:
    with _started({"prometheus", "pg-upload", "pg-files", *PYTHON_PARTS}, lambda _: {}) as started:
        yield Backends(started)


@contextmanager
def _started(
    without: Iterable[str],
    environment: Callable[[Mapping[str, str]], Added],
    chosen: Mapping[str, str] | None = None,
) -> Iterator[stack.Stack]:
    env: Mapping[str, Any] = stack.isolated_env({**os.environ, "WORKERS": "1", **(chosen or {})})
    with owned_folder() as folder:
        started = stack.start(folder / RUN, env, without=without, environment=environment(env))
        try:
            stack.wait_healthy(started)
            yield started
        finally:
            started.destroy()
