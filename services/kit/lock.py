"""Locks in the database that last as long as the connection that holds them.

Losing one must cost nothing: the connection may break at any moment, and its holder hears of it later.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from services.kit.db import connect
from services.kit.errors import unavailable

_DOWN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
STATEMENT_S = 5.0


class AdvisoryLock:
    """Args:
    url: the database without a pooler between, because the lock belongs to the connection.
    group: keeps the names of one purpose apart from those of others.
    """

    def __init__(self, url: str, application: str, group: int, name: str) -> None:
        self._url, self._application, self._group, self.name = url, application, group, name
        self._connection: asyncpg.Connection[Any] | None = None
        self._got = False

    @property
    def held(self) -> bool:
        return self._got and self._connection is not None and not self._connection.is_closed()

    async def take(self) -> bool:
        """Whether it is held now, since before or from now on. Until ``release`` the connection stays open
        for the next try.

        Raises:
            Fault: the database cannot be reached.
        """
        if self.held:
            return True
        self._got = False
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._url, self._application)
            self._got = await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, hashtext($2))", self._group, self.name, timeout=STATEMENT_S
            )
        except _DOWN as error:
            self.release()
            raise unavailable("database") from error
        except BaseException:  # cancelled: whether it was got, nobody knows
            self.release()
            raise
        return self._got

    def release(self) -> None:
        self._got = False
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
