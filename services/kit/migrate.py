"""Migrations: numbered SQL files, each in a transaction, under a session advisory lock.

Replicas may start together: the second one waits and finds everything done. A file that changed after
it was applied stops the service, because its effect is not what the file says.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from services.kit.db import connect
from services.kit.refusal import StartRefused

_LOCK = 0x7661756C74  # any number, the same in every replica
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations (
  version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now())"""


_REMEDY = "`make clean` deletes the data, or start the code that wrote it"


class MigrationError(StartRefused):
    """The folder and the database disagree; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_folder(folder: Path) -> list[Migration]:
    """All migrations in order; a stray or doubled file is an error."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named NNNN_words.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    versions = [migration.version for migration in found]
    if versions != list(range(1, len(versions) + 1)):
        raise MigrationError(
            f"migrations are numbered {versions}, expected 1 to {len(versions)} without gaps"
        )
    return found


async def migrate(url: str, folder: Path, application: str) -> list[int]:
    """Bring the database up to date; the versions applied now.

    Raises:
        MigrationError: a recorded checksum differs, or the database is newer than the folder.
    """
    connection = await connect(url, application)
    try:
        await connection.execute("SET statement_timeout = 0")  # the role's is for the services' statements
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
        applied = {row["version"]: row["checksum"] for row in rows}
        return await _apply(connection, read_folder(folder), applied)
    finally:
        await connection.close()  # ends the session, and with it the lock


async def _apply(
    connection: asyncpg.Connection[Any], wanted: list[Migration], applied: dict[int, str]
) -> list[int]:
    if applied and max(applied) > len(wanted):
        raise MigrationError(
            f"the database is at version {max(applied)}, this program knows {len(wanted)}: {_REMEDY}"
        )
    done = []
    for migration in wanted:
        known = applied.get(migration.version)
        if known == migration.checksum:
            continue
        if known is not None:
            raise MigrationError(
                f"migration {migration.version} ({migration.name}) changed after it was applied: {_REMEDY}"
            )
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
        done.append(migration.version)
    return done
