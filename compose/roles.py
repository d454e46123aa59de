"""Gives each database its roles, with the rights that roles.sql says; runs between databases and services.

Reads for each database ``PG_<NAME>_URL``, the administrator's, ``DB_<NAME>_PASSWORD`` and
``DB_<NAME>_MIGRATOR_PASSWORD``, and for all ``DB_MONITOR_PASSWORD``. Doing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import asyncpg

SQL = Path(__file__).with_name("roles.sql")
DATABASES = ("AUTH", "UPLOAD", "FILES")
CONNECT_S, STATEMENT_S = 10.0, 60.0


async def give_roles(url: str, passwords: Mapping[str, str]) -> None:
    """``url`` is the administrator's; ``passwords`` are those of the roles, by name.

    Raises:
        OSError, asyncpg.PostgresError: the database is not there or refuses.
    """
    connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=STATEMENT_S)
    try:
        async with connection.transaction():
            # Roles belong to the cluster: two who change one at once fail.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('roles'))")
            for role, password in passwords.items():
                await connection.execute("SELECT set_config($1, $2, true)", f"vaultbench.{role}", password)
            await connection.execute(SQL.read_text(encoding="utf-8"))
    finally:
        await connection.close()


async def main() -> None:
    """Process edge."""
    env = os.environ
    await asyncio.gather(
        *(
            give_roles(
                env[f"PG_{name}_URL"],
                {
                    "service": env[f"DB_{name}_PASSWORD"],
                    "migrator": env[f"DB_{name}_MIGRATOR_PASSWORD"],
                    "monitor": env["DB_MONITOR_PASSWORD"],
                },
            )
            for name in DATABASES
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
