"""The advisory lock on this process's INSTANCE name, on a connection of its own.

Its holder may take back at once the jobs that an earlier process of the same name held; everybody else
waits until their leases run out. A second process of the name just does not get the lock.
"""

from __future__ import annotations

from typing import Any

import asyncpg
from structlog.typing import FilteringBoundLogger

from services.kit.db import connect

_LOCK_CLASS = 0x7570  # "up": apart from the migrations' lock
_DOWN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class InstanceLock:
    """Args:
    url: the database without a pooler between, because the lock belongs to the connection.
    """

    def __init__(self, url: str, instance: str, log: FilteringBoundLogger) -> None:
        self._url, self.instance, self._log = url, instance, log
        self._connection: asyncpg.Connection[Any] | None = None
        self._held = False

    async def newly_held(self) -> bool:
        """Try for the lock unless it is held; True in the turn in which it was got."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._held = False
                self._connection = await connect(self._url, f"upload-lock-{self.instance}")
            if self._held:
                return False
            self._held = await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, hashtext($2))", _LOCK_CLASS, self.instance
            )
        except _DOWN as error:
            self._log.warning("instance lock", reason=type(error).__name__)
            return False
        return self._held

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
