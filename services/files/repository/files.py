"""Files in files_db: read, list, rename, delete, register, copy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.files.listing import COLUMNS, statement
from services.files.model import (
    OWNER_ONLY,
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
from services.files.repository.access import JOINS, ONE, PERMISSION, READABLE, SEEN, summary_of
from services.kit.db import Database, Statement, Transaction

_SHOWN = f"{COLUMNS.format(permission=PERMISSION)}, f.storage_key, f.etag"
_OWN = COLUMNS.format(permission="'owner'")
_READ = Statement("file_read", f"SELECT {_SHOWN} {ONE}")
_READ_MANY = Statement(
    "files_read",
    f"SELECT {_SHOWN} FROM files f {JOINS} WHERE f.file_uuid = ANY($1::uuid[]) AND {READABLE}",  # noqa: S608 - fixed pieces
)
_RENAME = Statement(
    "file_rename",
    f"""WITH {SEEN},
    done AS (UPDATE files f SET file_name = $3, folded_name = $4, updated_at = clock_timestamp() FROM seen
             WHERE f.file_uuid = seen.file_uuid AND seen.permission = ANY($5::text[])
               AND f.deleted_at IS NULL RETURNING 1)
    SELECT permission, EXISTS (SELECT FROM done) AS done FROM seen""",  # noqa: S608 - fixed pieces
)
_DELETE = Statement(
    "file_delete",
    f"""WITH {SEEN},
    done AS (UPDATE files f SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() FROM seen
             WHERE f.file_uuid = seen.file_uuid AND seen.permission = ANY($3::text[]) AND f.deleted_at IS NULL
             RETURNING 1)
    SELECT permission, EXISTS (SELECT FROM done) AS done FROM seen""",  # noqa: S608 - fixed pieces
)
# A statement of its own: it sees what was added while the one before waited for the file's row.
_DETACH = Statement(
    "files_detach",
    """WITH shares AS (DELETE FROM file_shares WHERE file_uuid = ANY($1::uuid[])),
    shortcuts AS (DELETE FROM file_shortcuts WHERE file_uuid = ANY($1::uuid[]))
    DELETE FROM public_files WHERE file_uuid = ANY($1::uuid[])""",
)
# No row: the insert met a row that was committed after this statement began, or a row with another id.
_REGISTER = Statement(
    "file_register",
    f"""WITH made AS (
      INSERT INTO files (file_uuid, upload_uuid, user_id, file_name, folded_name, mime_type,
                         storage_key, size_bytes, checksum, etag)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
      ON CONFLICT DO NOTHING RETURNING *)
    SELECT true AS created, true AS same, true AS lives, {_OWN}
    FROM made f, (SELECT NULL::uuid AS file_uuid) p
    UNION ALL
    SELECT false, f.voided_at IS NULL
      AND (f.upload_uuid, f.user_id, f.mime_type, f.storage_key, f.size_bytes, f.checksum, f.etag)
          IS NOT DISTINCT FROM ($2::uuid, $3::uuid, $6::text, $7::text, $8::bigint, $9::text, $10::text)
      AND (f.file_name = $4 OR f.updated_at > f.created_at),
      f.deleted_at IS NULL, {_OWN}
    FROM files f LEFT JOIN public_files p ON p.file_uuid = f.file_uuid WHERE f.file_uuid = $1""",  # noqa: S608 - fixed pieces
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
    SELECT false AS lives, NULL AS mime_type, NULL::bigint AS size_bytes, NULL AS checksum, NULL AS etag,
      false AS copying
      FROM made
    UNION ALL
    SELECT coalesce(deleted_at > clock_timestamp(), true), mime_type, size_bytes, checksum, etag,
      coalesce(deleted_at > clock_timestamp(), false)
      FROM files WHERE file_uuid = $1""",
)
# A copy begins as a row that is deleted already, from a moment that is still to come: nobody sees it, and
# whatever becomes of the copying, the sweeper finds the object by it. Until that moment it can come to life.
_RESERVE_COPY = Statement(
    "file_copy_reserve",
    f"""WITH source AS (SELECT {_SHOWN}, f.folded_name {ONE}),
    reserved AS (
      INSERT INTO files (file_uuid, user_id, file_name, folded_name, mime_type, storage_key, size_bytes,
                         checksum, deleted_at)
      SELECT $3::uuid, $2, file_name, folded_name, mime_type, $4::text, size_bytes, checksum,
             clock_timestamp() + $5::float * interval '1 second' FROM source)
    SELECT * FROM source""",  # noqa: S608 - fixed pieces
)
_PUBLISH_COPY = Statement(
    "file_copy_publish",
    f"""UPDATE files f SET deleted_at = NULL, etag = $2, created_at = p.at, updated_at = p.at,
        visible_at = p.at
    FROM (SELECT NULL::uuid AS file_uuid, clock_timestamp() AS at OFFSET 0) p
    WHERE f.file_uuid = $1 AND f.deleted_at > p.at AND f.object_deleted_at IS NULL
    RETURNING {_OWN}""",  # noqa: S608 - fixed pieces
)


async def detach(transaction: Transaction, file_ids: Sequence[UUID]) -> None:
    """Shares, shortcuts and public flags of files that this transaction has marked as deleted."""
    await transaction.row(_DETACH, file_ids)


class Files:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, file_id: UUID, user_id: UUID | None) -> Readable | None:
        """The file, if this user (None: anybody) may read it; access and row in one statement."""
        row = await self._database.row(_READ, file_id, user_id)
        return _readable(row) if row else None

    async def read_many(self, file_ids: Sequence[UUID], user_id: UUID) -> dict[UUID, Readable]:
        """Those of the files that this user may read; one statement for all."""
        rows = await self._database.rows(_READ_MANY, file_ids, user_id)
        return {row["file_uuid"]: _readable(row) for row in rows}

    async def page(self, query: ListQuery, user_id: UUID) -> Page:
        sql, arguments = statement(query, user_id)
        rows = await self._database.rows(sql, *arguments)
        files = [summary_of(row) for row in rows if row["file_uuid"] is not None]
        return Page(files[: query.size], rows[0]["total"], len(files) > query.size)

    async def rename(self, file_id: UUID, user_id: UUID, name: str) -> Change:
        row = await self._database.row(_RENAME, file_id, user_id, name, name.casefold(), RENAMERS)
        return _change(row, RENAMERS)

    async def delete(self, file_id: UUID, user_id: UUID) -> Change:
        """Mark as deleted; shares, shortcuts and public flag go with it."""
        async with self._database.transaction() as transaction:
            row = await transaction.row(_DELETE, file_id, user_id, OWNER_ONLY)
            change = _change(row, OWNER_ONLY)
            if change is Change.DONE:
                await detach(transaction, [file_id])
        return change

    async def register(self, facts: Registration) -> Registered | None:
        """Insert the file, or find out that it is there; one statement, two only in a race. None: the id has
        other facts.

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
            return None
        return Registered(row["created"], summary_of(row) if row["lives"] else None)

    async def void(self, file_id: UUID) -> Living | None:
        """Make sure that this id never becomes a file; the file if it is one already, or a copy that is made.

        Of a deleted file nothing is left to prevent: its row stands in the way of a registration.
        """
        row = await self._database.row(_VOID, file_id)
        if row is None:  # two at once: a second look sees what the other one committed
            row = await self._database.row(_VOID, file_id)
        if row is None or not row["lives"]:
            return None
        return Living(row["mime_type"], row["size_bytes"], row["checksum"], row["etag"], row["copying"])

    async def reserve_copy(
        self, file_id: UUID, user_id: UUID, copy_id: UUID, storage_key: str, seconds: float
    ) -> Readable | None:
        """The source, if this user may read it; then the copy's row is there, unseen, for ``seconds``."""
        row = await self._database.row(_RESERVE_COPY, file_id, user_id, copy_id, storage_key, seconds)
        return _readable(row) if row else None

    async def publish_copy(self, copy_id: UUID, etag: str) -> Summary | None:
        """The copy, seen from now on; None when its time had run out."""
        row = await self._database.row(_PUBLISH_COPY, copy_id, etag)
        return summary_of(row) if row else None


def _readable(row: asyncpg.Record) -> Readable:
    return Readable(summary_of(row), row["storage_key"], row["etag"])


def _change(row: asyncpg.Record | None, allowed: tuple[Permission, ...]) -> Change:
    """A change that was allowed and still not done met a deletion at the same time."""
    if row is None:
        return Change.HIDDEN
    if row["done"]:
        return Change.DONE
    return Change.HIDDEN if row["permission"] in allowed else Change.FORBIDDEN
