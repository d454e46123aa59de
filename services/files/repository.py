"""Files in files_db; with ``listing`` and ``sweep_rows`` all SQL of the service."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg

from services.files.listing import ACCESS, COLUMNS, PUBLIC, statement
from services.files.model import (
    DELETERS,
    RENAMERS,
    Change,
    ListQuery,
    Living,
    Page,
    Permission,
    Readable,
    Registered,
    Registration,
    Summary,
)
from services.kit.db import Database, Statement

# A row only if the caller may read it: what is hidden looks like what does not exist.
_ACCESS = ACCESS.format(user="$2", public=PUBLIC)
_SEEN = """FROM files f
  LEFT JOIN file_shares s ON s.file_uuid = f.file_uuid AND s.shared_with_user_id = $2
  LEFT JOIN public_files p ON p.file_uuid = f.file_uuid
  WHERE f.file_uuid = $1 AND f.deleted_at IS NULL
    AND (f.user_id = $2 OR s.permission IS NOT NULL OR p.file_uuid IS NOT NULL)"""
_READ = Statement("file_read", f"SELECT {COLUMNS.format(permission=_ACCESS)}, f.storage_key, f.etag {_SEEN}")
_RENAME = Statement(
    "file_rename",
    f"""WITH seen AS (SELECT f.file_uuid, {_ACCESS} AS permission {_SEEN}),
    done AS (UPDATE files f SET file_name = $3, folded_name = $4, updated_at = clock_timestamp() FROM seen
             WHERE f.file_uuid = seen.file_uuid AND seen.permission = ANY($5::text[])
               AND f.deleted_at IS NULL RETURNING 1)
    SELECT permission, EXISTS (SELECT FROM done) AS done FROM seen""",  # noqa: S608 - fixed pieces
)
_DELETE = Statement(
    "file_delete",
    f"""WITH seen AS (SELECT f.file_uuid, {_ACCESS} AS permission {_SEEN}),
    done AS (UPDATE files f SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() FROM seen
             WHERE f.file_uuid = seen.file_uuid AND seen.permission = ANY($3::text[]) AND f.deleted_at IS NULL
             RETURNING f.file_uuid),
    shares AS (DELETE FROM file_shares x USING done WHERE x.file_uuid = done.file_uuid),
    shortcuts AS (DELETE FROM file_shortcuts x USING done WHERE x.file_uuid = done.file_uuid),
    flag AS (DELETE FROM public_files x USING done WHERE x.file_uuid = done.file_uuid)
    SELECT permission, EXISTS (SELECT FROM done) AS done FROM seen""",  # noqa: S608 - fixed pieces
)
# No row: the insert met a row that was committed after this statement began, or a row with another id.
_REGISTER = Statement(
    "file_register",
    """WITH made AS (
      INSERT INTO files (file_uuid, upload_uuid, user_id, file_name, folded_name, mime_type,
                         storage_key, size_bytes, checksum, etag)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
      ON CONFLICT DO NOTHING RETURNING 1)
    SELECT true AS created, true AS same FROM made
    UNION ALL
    SELECT false, voided_at IS NULL
      AND (upload_uuid, user_id, mime_type, storage_key, size_bytes, checksum, etag)
          IS NOT DISTINCT FROM ($2::uuid, $3::uuid, $6::text, $7::text, $8::bigint, $9::text, $10::text)
      AND (file_name = $4 OR updated_at > created_at)
    FROM files WHERE file_uuid = $1""",
)
# A tombstone for an id that is no file; the primary key decides against a registration at the same time.
# No row: the insert met a row that was committed after this statement began.
_VOID = Statement(
    "file_void",
    """WITH made AS (
      INSERT INTO files (file_uuid, user_id, file_name, storage_key, size_bytes,
                         deleted_at, object_deleted_at, voided_at)
      VALUES ($1, '00000000-0000-0000-0000-000000000000', '', 'void/' || $1::uuid, 0, now(), now(), now())
      ON CONFLICT DO NOTHING RETURNING 1)
    SELECT false AS lives, NULL AS mime_type, NULL::bigint AS size_bytes, NULL AS checksum, NULL AS etag
      FROM made
    UNION ALL
    SELECT deleted_at IS NULL, mime_type, size_bytes, checksum, etag FROM files WHERE file_uuid = $1""",
)


class Files:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, file_id: UUID, user_id: UUID | None) -> Readable | None:
        """The file, if this user (None: anybody) may read it; access and row in one statement."""
        row = await self._database.row(_READ, file_id, user_id)
        return Readable(_summary(row), row["storage_key"], row["etag"]) if row else None

    async def page(self, query: ListQuery, user_id: UUID) -> Page:
        sql, arguments = statement(query, user_id)
        rows = await self._database.rows(sql, *arguments)
        files = [_summary(row) for row in rows if row["file_uuid"] is not None]
        return Page(files[: query.size], rows[0]["total"], len(files) > query.size)

    async def rename(self, file_id: UUID, user_id: UUID, name: str) -> Change:
        row = await self._database.row(_RENAME, file_id, user_id, name, name.casefold(), RENAMERS)
        return _change(row, RENAMERS)

    async def delete(self, file_id: UUID, user_id: UUID) -> Change:
        """Mark as deleted; shares, shortcuts and public flag go with it."""
        row = await self._database.row(_DELETE, file_id, user_id, DELETERS)
        return _change(row, DELETERS)

    async def register(self, facts: Registration) -> Registered:
        """Insert the file, or find out that it is there; one statement, two only in a race.

        The same facts may come again after a rename or a delete: that is a repetition, too. An id that
        was given up (a tombstone) never becomes a file.
        """
        values = (
            facts.file_id,
            facts.upload_id,
            facts.owner_id,
            facts.name,
            facts.name.casefold(),
            facts.mime_type,
            facts.storage_key,
            facts.size_bytes,
            facts.checksum,
            facts.etag,
        )
        row = await self._database.row(_REGISTER, *values)
        if row is None:  # two at once: a second look sees what the other one committed
            row = await self._database.row(_REGISTER, *values)
        if row is None or not row["same"]:
            return Registered.CONFLICT
        return Registered.CREATED if row["created"] else Registered.REPEATED

    async def void(self, file_id: UUID) -> Living | None:
        """Make sure that this id never becomes a file; the file if it is one already.

        Of a deleted file nothing is left to prevent: its row stands in the way of a registration.
        """
        row = await self._database.row(_VOID, file_id)
        if row is None:  # two at once: a second look sees what the other one committed
            row = await self._database.row(_VOID, file_id)
        if row is None or not row["lives"]:
            return None
        return Living(row["mime_type"], row["size_bytes"], row["checksum"], row["etag"])


def _summary(row: Any) -> Summary:
    return Summary(
        file_id=row["file_uuid"],
        owner_id=row["user_id"],
        name=row["file_name"],
        mime_type=row["mime_type"],
        size_bytes=row["size_bytes"],
        created_at=row["created_at"],
        is_public=row["is_public"],
        updated_at=row["updated_at"],
        permission=Permission(row["permission"]),
        checksum=row["checksum"],
    )


def _change(row: asyncpg.Record | None, allowed: tuple[Permission, ...]) -> Change:
    """A change that was allowed and still not done met a deletion at the same time."""
    if row is None:
        return Change.HIDDEN
    if row["done"]:
        return Change.DONE
    return Change.HIDDEN if row["permission"] in allowed else Change.FORBIDDEN
