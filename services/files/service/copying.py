"""A copy of a file: a row that nobody sees yet, then the object, then the row is seen.

So no object is ever without a row, whatever fails and whenever: a copy that does not come about is, to
the sweeper, a deleted file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from services.files.copier import Copier
from services.files.errors import copy_took_too_long, file_not_found
from services.files.model import Summary
from services.files.repository.files import Files
from services.files.service.files import read_fault
from services.kit.s3 import StoreError

COPYING_S = 100.0
RESERVED_S = 120.0  # the copying, and the statement after it, which may wait


class Copying:
    """Args:
    new_id: an id that no file has.
    """

    def __init__(self, files: Files, copier: Copier, new_id: Callable[[], UUID]) -> None:
        self._files, self._copier, self._new_id = files, copier, new_id

    async def copy(self, file_id: UUID, user_id: UUID) -> Summary:
        """The copy, which belongs to the caller.

        Raises:
            Fault: ``file_not_found``, ``store_inconsistent``, ``dependency_unavailable``,
                ``deadline_exceeded``.
        """
        copy_id = self._new_id()
        key = f"users/{user_id}/{copy_id}"
        source = await self._files.reserve_copy(file_id, user_id, copy_id, key, RESERVED_S)
        if source is None:
            raise file_not_found()
        try:
            async with asyncio.timeout(COPYING_S):
                etag = await self._copier.copy(source, key)
        except TimeoutError as error:
            raise copy_took_too_long() from error
        except StoreError as error:
            raise await read_fault(self._files, file_id, user_id, error) from error
        copy = await self._files.publish_copy(copy_id, etag)
        if copy is None:
            raise copy_took_too_long()
        return copy
