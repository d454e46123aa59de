"""Folders in files_db: prefixes of names, which exist as long as a file has them."""

from __future__ import annotations

from uuid import UUID

from services.files.listing import beyond
from services.files.model import Folder, FolderPage, FolderQuery
from services.files.repository.files import detach
from services.kit.db import Database, Statement

_OWN = "user_id = $1 AND deleted_at IS NULL"
# A range in byte order, which the folder index serves whatever the collation.
_BELOW = f"{_OWN} AND file_name ~>=~ $5 AND file_name ~<~ $6"


def _listing(name: str, where: str) -> Statement:
    """$2 is the length of the prefix in characters. At least one row, with a null name, carries the total."""
    return Statement(
        name,
        f"""WITH folders AS MATERIALIZED (
          SELECT split_part(substr(file_name, $2::int + 1), '/', 1) COLLATE "C" AS name,
                 count(*) AS file_count, sum(size_bytes)::bigint AS size_bytes
          FROM files WHERE {where} AND position('/' in substr(file_name, $2::int + 1)) > 0 GROUP BY 1)
        SELECT counted.total, EXISTS (SELECT FROM files WHERE {where}) AS found, page.* FROM
          (SELECT count(*) AS total FROM folders) counted
          LEFT JOIN (SELECT * FROM folders ORDER BY name LIMIT $3 OFFSET $4) page ON true
        ORDER BY page.name""",  # noqa: S608 - fixed pieces
    )


_ROOT, _FOLDER = _listing("folders_root", _OWN), _listing("folders_below", _BELOW)
# In one order, so that two deletions of one folder never wait for each other.
_DELETE = Statement(
    "folder_delete",
    f"""WITH batch AS (
      SELECT file_uuid FROM files WHERE {_OWN} AND file_name ~>=~ $2 AND file_name ~<~ $3
      ORDER BY file_name USING ~<~, file_uuid LIMIT $4 FOR NO KEY UPDATE)
    UPDATE files f SET deleted_at = clock_timestamp(), updated_at = clock_timestamp()
    FROM batch WHERE f.file_uuid = batch.file_uuid RETURNING f.file_uuid""",  # noqa: S608 - fixed pieces
)


class Folders:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, query: FolderQuery, user_id: UUID) -> FolderPage | None:
        """The folders directly inside one, or inside none; None when no file is below it."""
        offset = (query.page - 1) * query.size
        arguments = (user_id, len(query.prefix), query.size, offset)
        if query.prefix:
            rows = await self._database.rows(_FOLDER, *arguments, query.prefix, beyond(query.prefix))
        else:
            rows = await self._database.rows(_ROOT, *arguments)
        if query.prefix and not rows[0]["found"]:
            return None
        folders = [
            Folder(f"{query.prefix}{row['name']}/", row["name"], row["file_count"], row["size_bytes"])
            for row in rows
            if row["name"] is not None
        ]
        return FolderPage(folders, rows[0]["total"])

    async def delete_some(self, prefix: str, user_id: UUID, limit: int) -> int:
        """Mark up to ``limit`` files below the prefix as deleted, with all that hangs on them; how many."""
        async with self._database.transaction() as transaction:
            rows = await transaction.rows(_DELETE, user_id, prefix, beyond(prefix), limit)
            if rows:
                await detach(transaction, [row["file_uuid"] for row in rows])
        return len(rows)
