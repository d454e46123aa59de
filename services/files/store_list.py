"""A user's files as the object store lists them: the arm that a database list is compared with.

It knows no names, shows deleted files until their objects are swept, cannot count, and costs one
request to the store per page.
"""

from __future__ import annotations

from uuid import UUID

from services.files.errors import store_fault
from services.files.model import ListQuery, Page, Permission, Summary
from services.kit.codec import is_uuid
from services.kit.names import OCTET_STREAM
from services.kit.s3 import ObjectEntry, S3Client, StoreError


class StoreList:
    """See ``service.ListSource``; the query's order and filters do not apply."""

    def __init__(self, store: S3Client) -> None:
        self._store = store

    async def page(self, query: ListQuery, user_id: UUID) -> Page:
        prefix = f"users/{user_id}/"
        after = f"{prefix}{query.after.file_id}" if query.after else ""
        try:
            entries = await self._store.list_objects(prefix, after=after, limit=query.size + 1)
        except StoreError as error:
            raise store_fault(error) from error
        shown = [
            _summary(entry, user_id, UUID(entry.key.removeprefix(prefix)))
            for entry in entries[: query.size]
            if is_uuid(entry.key.removeprefix(prefix))
        ]
        return Page(shown, None, len(entries) > query.size)


def _summary(entry: ObjectEntry, user_id: UUID, file_id: UUID) -> Summary:
    return Summary(
        file_id=file_id,
        owner_id=user_id,
        name=str(file_id),
        mime_type=OCTET_STREAM,
        size_bytes=entry.size_bytes,
        created_at=entry.last_modified,
        is_public=False,
        updated_at=entry.last_modified,
        permission=Permission.OWNER,
        checksum=None,
    )
