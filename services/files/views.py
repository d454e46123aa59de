"""How files look in JSON."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.files import cursor
from services.files.disposition import download_name
from services.files.model import (
    FolderPage,
    FolderQuery,
    Link,
    ListQuery,
    Page,
    Position,
    Registered,
    Scope,
    Share,
    Summary,
)
from services.kit.codec import rfc3339


def summary(file: Summary) -> dict[str, Any]:
    return {
        "file_id": file.file_id,
        "owner_id": file.owner_id,
        "name": file.name,
        "mime_type": file.mime_type,
        "size_bytes": file.size_bytes,
        "created_at": rfc3339(file.created_at),
        "is_public": file.is_public,
        "updated_at": rfc3339(file.updated_at),
        "permission": file.permission,
        "checksum": file.checksum,
    }


def registered(file_id: UUID, done: Registered) -> dict[str, Any]:
    """``file`` is how it looks to its owner, null when it was deleted since."""
    file = None if done.file is None else summary(done.file)
    return {"file_id": file_id, "created": done.created, "file": file}


def page(query: ListQuery, shown: Page) -> dict[str, Any]:
    """``next_page`` and ``next_cursor`` are null on the last page."""
    counted = query.scope is not Scope.STORE
    more = shown.more and bool(shown.files)
    return {
        "files": [summary(file) for file in shown.files],
        "total": shown.total,
        "page": query.page,
        "size": query.size,
        "next_page": query.page + 1 if more and counted and query.page < cursor.MAX_PAGE else None,
        "next_cursor": cursor.write(query, _last(query, shown)) if more else None,
    }


def link(given: Link, name: str) -> dict[str, Any]:
    return {
        "download_url": given.url,
        "expires_at": rfc3339(given.expires_at),
        "file_name": download_name(name),
    }


def share(given: Share) -> dict[str, Any]:
    return {
        "user_id": given.user_id,
        "email": given.email,
        "permission": given.permission,
        "created_at": rfc3339(given.created_at),
    }


def folders(query: FolderQuery, shown: FolderPage) -> dict[str, Any]:
    more = query.page * query.size < shown.total and query.page < cursor.MAX_PAGE
    return {
        "prefix": query.prefix,
        "folders": [
            {
                "prefix": folder.prefix,
                "name": folder.name,
                "file_count": folder.file_count,
                "size_bytes": folder.size_bytes,
            }
            for folder in shown.folders
        ],
        "total": shown.total,
        "page": query.page,
        "size": query.size,
        "next_page": query.page + 1 if more else None,
    }


def _last(query: ListQuery, shown: Page) -> Position:
    last = shown.files[-1]
    return Position(0, last.file_id) if query.scope is Scope.STORE else cursor.position_of(last, query.sort)
