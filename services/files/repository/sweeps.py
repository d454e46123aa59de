"""What a sweep reads and writes in files_db. Ages are of the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.kit.db import Database, Statement

_OF = "({users}::uuid[] IS NULL OR user_id = ANY({users}))"
_DELETED = Statement(
    "sweep_deleted",
    f"""SELECT file_uuid, storage_key, size_bytes, deleted_at, upload_uuid IS NULL AND etag IS NULL FROM files
    WHERE deleted_at <= now() - $1::interval AND object_deleted_at IS NULL AND {_OF.format(users="$2")}
      AND (deleted_at, file_uuid) > ($3, $4)
    ORDER BY deleted_at, file_uuid LIMIT $5""",  # noqa: S608 - a constant of this module
)
_OBJECTS_GONE = Statement(
    "sweep_objects_gone",
    """UPDATE files SET object_deleted_at = clock_timestamp()
    WHERE file_uuid = ANY($1::uuid[]) AND deleted_at IS NOT NULL AND object_deleted_at IS NULL""",
)
_OLD = f"object_deleted_at <= now() - $1::interval AND {_OF.format(users='$2')}"
_COUNT_OLD = Statement("sweep_rows_count", f"SELECT count(*) AS n FROM files WHERE {_OLD}")  # noqa: S608
_FORGET = Statement(
    "sweep_rows",
    f"DELETE FROM files WHERE file_uuid IN (SELECT file_uuid FROM files WHERE {_OLD} LIMIT $3)",  # noqa: S608
)
_KNOWN = Statement(
    "sweep_known",
    """SELECT storage_key, object_deleted_at IS NULL AS has_object FROM files
    WHERE storage_key = ANY($1::text[] || $2::text[])""",
)
_VOID = Statement(
    "sweep_void",
    """INSERT INTO files (file_uuid, user_id, file_name, storage_key, size_bytes,
                          deleted_at, object_deleted_at, voided_at)
    SELECT id, '00000000-0000-0000-0000-000000000000', '', 'void/' || id, 0, now(), now(), now()
      FROM unnest($1::uuid[]) id
    ON CONFLICT DO NOTHING RETURNING file_uuid""",
)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deleted file whose object is still there; ``unmade``: a copy that did not come about."""

    file_id: UUID
    storage_key: str
    size_bytes: int
    deleted_at: datetime
    unmade: bool


FIRST = Deleted(UUID(int=0), "", 0, datetime.min.replace(tzinfo=UTC), unmade=False)


class Owned(StrEnum):
    """What files_db says of an object."""

    NAMED = "named"  # a file's, or one that the next sweeps remove
    LEFT = "left"  # of a file that is gone, or of an id that can never be one
    UNKNOWN = "unknown"


class SweepRows:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def deleted(
        self, age: timedelta, users: Sequence[UUID] | None, after: Deleted, limit: int
    ) -> list[Deleted]:
        rows = await self._database.rows(_DELETED, age, users, after.deleted_at, after.file_id, limit)
        return [Deleted(*row) for row in rows]

    async def objects_gone(self, file_ids: Sequence[UUID]) -> None:
        await self._database.execute(_OBJECTS_GONE, file_ids)

    async def old(self, age: timedelta, users: Sequence[UUID] | None) -> int:
        """How many rows there are whose objects have been gone for so long."""
        row = await self._database.row(_COUNT_OLD, age, users)
        return int(row["n"]) if row else 0

    async def forget(self, age: timedelta, users: Sequence[UUID] | None, limit: int) -> int:
        """Delete them; how many these were."""
        return await self._database.execute(_FORGET, age, users, limit)

    async def owned(self, keys: Sequence[str]) -> dict[str, Owned]:
        """What is known of each object ``users/<user>/<id>``."""
        tombstones = {f"void/{key.rpartition('/')[2]}": key for key in keys}
        found = dict.fromkeys(keys, Owned.UNKNOWN)
        for row in await self._database.rows(_KNOWN, keys, list(tombstones)):
            name = row["storage_key"]
            found[tombstones.get(name, name)] = Owned.NAMED if row["has_object"] else Owned.LEFT
        return found

    async def void(self, file_ids: Sequence[UUID]) -> set[UUID]:
        """Tombstones for these ids; the ones that were free."""
        return {row["file_uuid"] for row in await self._database.rows(_VOID, file_ids)}
