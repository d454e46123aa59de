"""Accounts in auth_db; all SQL of the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.kit.db import Database, Statement

_INSERT = Statement(
    "user_insert",
    """INSERT INTO users (username, email, password_hash) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING id, username, email, password_hash, tier""",
)
_BY_EMAIL = Statement(
    "user_by_email", "SELECT id, username, email, password_hash, tier FROM users WHERE email = $1"
)
_RESOLVE = Statement("users_resolve", "SELECT email, id FROM users WHERE email = ANY($1::text[])")


@dataclass(frozen=True, slots=True)
class Account:
    user_id: UUID
    username: str
    email: str
    password_hash: str
    tier: str


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, username: str, email: str, password_hash: str) -> Account | None:
        """The new account, or None when the user name or the e-mail is taken."""
        row = await self._database.row(_INSERT, username, email, password_hash)
        return Account(*row) if row else None

    async def by_email(self, email: str) -> Account | None:
        row = await self._database.row(_BY_EMAIL, email)
        return Account(*row) if row else None

    async def resolve(self, emails: Sequence[str]) -> dict[str, UUID]:
        """User ids of those e-mails that have an account."""
        return {row["email"]: row["id"] for row in await self._database.rows(_RESOLVE, emails)}
