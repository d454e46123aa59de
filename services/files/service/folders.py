"""Folders of one owner."""

from __future__ import annotations

from uuid import UUID

from services.files.errors import folder_not_found
from services.files.model import FolderPage, FolderQuery
from services.files.repository.folders import Folders

BATCH = 1_000


class FolderService:
    def __init__(self, folders: Folders, batch: int = BATCH) -> None:
        self._folders, self._batch = folders, batch

    async def page(self, query: FolderQuery, user_id: UUID) -> FolderPage:
        """Raises:
        Fault: ``folder_not_found``; the outermost folder is always there.
        """
        page = await self._folders.page(query, user_id)
        if page is None:
            raise folder_not_found()
        return page

    async def delete(self, prefix: str, user_id: UUID) -> int:
        """Delete every file below the prefix, batch by batch until none is left; how many they were.

        Raises:
            Fault: ``folder_not_found``; whatever stopped a batch: the ones before it stay deleted.
        """
        deleted = 0
        while count := await self._folders.delete_some(prefix, user_id, self._batch):
            deleted += count
        if not deleted:
            raise folder_not_found()
        return deleted
