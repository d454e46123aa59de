"""Shares, public flags and shortcuts in files_db."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from services.files.model import OWNER_ONLY, Change, Permission, Recipient, Share
from services.files.repository.access import HELD, ONE, PERMISSION, SEEN, judged
from services.files.shares import added
from services.kit.db import Database, Statement

_COLUMNS = "x.shared_with_user_id, x.shared_with_email, x.permission, x.created_at"
# Whoever adds shares to one file does so one after the other: their number has a limit.
_LOCK = Statement("shares_lock", f"SELECT {PERMISSION} AS permission {ONE} FOR NO KEY UPDATE OF f")
_KNOWN = Statement("shares_known", f"SELECT {_COLUMNS} FROM file_shares x WHERE x.file_uuid = $1")  # noqa: S608 - fixed pieces
# A moment apart, so that their order is kept.
_ADD = Statement(
    "shares_add",
    f"""INSERT INTO file_shares AS x
      (file_uuid, shared_with_user_id, shared_with_email, permission, created_at)
    SELECT $1, user_id, email, permission, clock_timestamp() + number * interval '1 microsecond'
    FROM unnest($2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY AS a (user_id, email, permission, number)
    RETURNING {_COLUMNS}""",  # noqa: S608 - fixed pieces
)
_LIST = Statement(
    "shares_list",
    f"""WITH {SEEN} SELECT seen.permission AS caller, {_COLUMNS} FROM seen
    LEFT JOIN file_shares x ON x.file_uuid = seen.file_uuid AND seen.permission = 'owner'
    ORDER BY x.created_at""",  # noqa: S608 - fixed pieces
)
_CHANGE = Statement(
    "share_change",
    f"""WITH {SEEN},
    done AS (UPDATE file_shares x SET permission = $4 FROM seen
             WHERE x.file_uuid = seen.file_uuid AND x.shared_with_user_id = $3
               AND seen.permission = 'owner' RETURNING 1)
    SELECT permission, EXISTS (SELECT FROM done) AS found FROM seen""",  # noqa: S608 - fixed pieces
)
# Whom the file is shared with may give that up.
_REMOVE = Statement(
    "share_remove",
    f"""WITH {SEEN},
    done AS (DELETE FROM file_shares x USING seen
             WHERE x.file_uuid = seen.file_uuid AND x.shared_with_user_id = $3
               AND (seen.permission = 'owner' OR $3 = $2))
    SELECT permission = 'owner' OR (permission <> 'public' AND $3 = $2) AS allowed FROM seen""",  # noqa: S608 - fixed pieces
)
_PUBLISH = Statement(
    "file_publish",
    f"""WITH {HELD},
    done AS (INSERT INTO public_files (file_uuid) SELECT file_uuid FROM seen WHERE permission = 'owner'
             ON CONFLICT DO NOTHING)
    SELECT permission FROM seen""",  # noqa: S608 - fixed pieces
)
_UNPUBLISH = Statement(
    "file_unpublish",
    f"""WITH {SEEN},
    done AS (DELETE FROM public_files x USING seen
             WHERE x.file_uuid = seen.file_uuid AND seen.permission = 'owner')
    SELECT permission FROM seen""",  # noqa: S608 - fixed pieces
)
# The update changes nothing; without it there would be no row to return.
_PIN = Statement(
    "shortcut_add",
    f"""WITH {HELD}
    INSERT INTO file_shortcuts (file_uuid, user_id) SELECT file_uuid, $2 FROM seen
    ON CONFLICT (file_uuid, user_id) DO UPDATE SET user_id = EXCLUDED.user_id
    RETURNING id, created_at""",  # noqa: S608 - fixed pieces
)
_UNPIN = Statement(
    "shortcut_remove",
    f"""WITH gone AS (DELETE FROM file_shortcuts WHERE file_uuid = $1 AND user_id = $2 RETURNING 1)
    SELECT EXISTS (SELECT FROM gone) OR EXISTS (SELECT {ONE}) AS known""",  # noqa: S608 - fixed pieces
)


class Shares:
    """``caller`` is who asks; whether they may is decided by the statement that does it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, file_id: UUID, caller: UUID, wanted: Mapping[UUID, Recipient]
    ) -> Change | list[Share]:
        """The shares of all these recipients, in their order; those that were there stay as they are.

        Raises:
            Fault: ``already_shared``, ``share_limit``; then nothing is shared.
        """
        async with self._database.transaction() as transaction:
            change = judged(await transaction.row(_LOCK, file_id, caller), OWNER_ONLY)
            if change is not Change.DONE:
                return change
            known = {share.user_id: share for share in map(_share, await transaction.rows(_KNOWN, file_id))}
            new = added(known, wanted)
            if new:
                emails = [recipient.email for recipient in new.values()]
                permissions = [recipient.permission for recipient in new.values()]
                rows = await transaction.rows(_ADD, file_id, list(new), emails, permissions)
                known |= {share.user_id: share for share in map(_share, rows)}
        return [known[user_id] for user_id in wanted]

    async def list(self, file_id: UUID, caller: UUID) -> Change | list[Share]:
        """Oldest first."""
        rows = await self._database.rows(_LIST, file_id, caller)
        if not rows:
            return Change.HIDDEN
        if rows[0]["caller"] not in OWNER_ONLY:
            return Change.FORBIDDEN
        return [_share(row) for row in rows if row["shared_with_user_id"] is not None]

    async def change(
        self, file_id: UUID, caller: UUID, user_id: UUID, permission: Permission
    ) -> tuple[Change, bool]:
        """Second: whether there was such a share."""
        row = await self._database.row(_CHANGE, file_id, caller, user_id, permission)
        return judged(row, OWNER_ONLY), bool(row and row["found"])

    async def remove(self, file_id: UUID, caller: UUID, user_id: UUID) -> Change:
        """Also done when there was no such share."""
        row = await self._database.row(_REMOVE, file_id, caller, user_id)
        if row is None:
            return Change.HIDDEN
        return Change.DONE if row["allowed"] else Change.FORBIDDEN

    async def publish(self, file_id: UUID, caller: UUID) -> Change:
        return judged(await self._database.row(_PUBLISH, file_id, caller), OWNER_ONLY)

    async def unpublish(self, file_id: UUID, caller: UUID) -> Change:
        return judged(await self._database.row(_UNPUBLISH, file_id, caller), OWNER_ONLY)

    async def pin(self, file_id: UUID, caller: UUID) -> tuple[int, datetime] | None:
        """Number and time of the caller's shortcut, new or not; None: hidden."""
        row = await self._database.row(_PIN, file_id, caller)
        return (row["id"], row["created_at"]) if row else None

    async def unpin(self, file_id: UUID, caller: UUID) -> bool:
        """Whether there was one, or the caller may at least read the file."""
        row = await self._database.row(_UNPIN, file_id, caller)
        return bool(row and row["known"])


def _share(row: asyncpg.Record) -> Share:
    return Share(
        row["shared_with_user_id"], row["shared_with_email"], Permission(row["permission"]), row["created_at"]
    )
