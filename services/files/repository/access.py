"""Who may do what with a file, as SQL: access is decided by the statement that does it.

``$1`` is the file and ``$2`` the caller, null for anybody. A file that the caller may not read gives no
row: what is hidden looks like what does not exist.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from services.files.listing import ACCESS, PUBLIC
from services.files.model import Change, Permission, Summary

PERMISSION = ACCESS.format(user="$2", public=PUBLIC)
JOINS = """LEFT JOIN file_shares s ON s.file_uuid = f.file_uuid AND s.shared_with_user_id = $2
  LEFT JOIN public_files p ON p.file_uuid = f.file_uuid"""
READABLE = "f.deleted_at IS NULL AND (f.user_id = $2 OR s.permission IS NOT NULL OR p.file_uuid IS NOT NULL)"
ONE = f"FROM files f {JOINS} WHERE f.file_uuid = $1 AND {READABLE}"
SEEN = f"seen AS (SELECT f.file_uuid, {PERMISSION} AS permission {ONE})"
# What adds a share, a shortcut or the public flag holds off a deletion until it is done, so that the
# deletion takes it along; readers of one file do not hold each other off.
HELD = f"seen AS (SELECT f.file_uuid, {PERMISSION} AS permission {ONE} FOR SHARE OF f)"


def judged(row: asyncpg.Record | None, allowed: tuple[Permission, ...]) -> Change:
    """What a row with the caller's ``permission`` means; no row: hidden."""
    if row is None:
        return Change.HIDDEN
    return Change.DONE if row["permission"] in allowed else Change.FORBIDDEN


def summary_of(row: Any) -> Summary:
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
