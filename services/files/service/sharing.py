"""Who else may read a file: shares and the public flag; and the shortcuts that readers keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.files.errors import (
    file_not_found,
    invalid_recipients,
    recipient_not_found,
    share_not_found,
)
from services.files.model import OWNER_ONLY, Change, Permission, Recipient, Share
from services.files.repository.files import Files
from services.files.repository.shares import Shares
from services.files.service.files import settle


class Directory(Protocol):
    """Knows whose e-mail one is."""

    async def resolve(self, emails: Sequence[str]) -> dict[str, UUID]: ...


class Sharing:
    """Every operation raises ``file_not_found`` for who may not see the file, ``forbidden`` for who may
    see it only.

    Args:
        public_url: with ``{file_id}`` in it.
    """

    def __init__(self, files: Files, shares: Shares, directory: Directory, public_url: str) -> None:
        self._files, self._shares, self._directory, self._public_url = files, shares, directory, public_url

    async def add(self, file_id: UUID, caller: UUID, recipients: Sequence[Recipient]) -> list[Share]:
        """Share with all of them or none; their shares, in their order.

        Raises:
            Fault: ``recipient_not_found``, ``invalid_recipients``, ``already_shared``, ``share_limit``,
                ``dependency_unavailable``.
        """
        file = await self._files.read(file_id, caller)  # who may not share does not learn who has an account
        if file is None:
            raise file_not_found()
        if file.summary.permission not in OWNER_ONLY:
            settle(Change.FORBIDDEN)
        found = await self._directory.resolve([recipient.email for recipient in recipients])
        missing = [recipient.email for recipient in recipients if recipient.email not in found]
        if missing:
            raise recipient_not_found(missing)
        wanted = {found[recipient.email]: recipient for recipient in recipients}
        if caller in wanted:
            raise invalid_recipients("A file cannot be shared with its owner.")
        return _shown(await self._shares.add(file_id, caller, wanted))

    async def list(self, file_id: UUID, caller: UUID) -> list[Share]:
        return _shown(await self._shares.list(file_id, caller))

    async def change(self, file_id: UUID, caller: UUID, user_id: UUID, permission: Permission) -> None:
        """Raises:
        Fault: ``share_not_found``.
        """
        change, found = await self._shares.change(file_id, caller, user_id, permission)
        settle(change)
        if not found:
            raise share_not_found()

    async def remove(self, file_id: UUID, caller: UUID, user_id: UUID) -> None:
        settle(await self._shares.remove(file_id, caller, user_id))

    async def publish(self, file_id: UUID, caller: UUID) -> str:
        """The URL under which anybody reads the file."""
        settle(await self._shares.publish(file_id, caller))
        return self._public_url.replace("{file_id}", str(file_id))

    async def unpublish(self, file_id: UUID, caller: UUID) -> None:
        settle(await self._shares.unpublish(file_id, caller))

    async def pin(self, file_id: UUID, caller: UUID) -> tuple[int, datetime]:
        """Number and time of the caller's shortcut, new or not."""
        shortcut = await self._shares.pin(file_id, caller)
        if shortcut is None:
            raise file_not_found()
        return shortcut

    async def unpin(self, file_id: UUID, caller: UUID) -> None:
        if not await self._shares.unpin(file_id, caller):
            raise file_not_found()


def _shown(outcome: Change | list[Share]) -> list[Share]:
    if isinstance(outcome, Change):
        settle(outcome)
        return []
    return outcome
