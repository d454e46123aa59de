"""Status, list and abort, of every method."""

from __future__ import annotations

from uuid import UUID

from services.kit.cache import Cache
from services.upload import errors
from services.upload.cleaning import Cleaner
from services.upload.metrics import Metrics
from services.upload.model import State
from services.upload.repository.sessions import Progress, Sessions

# Nothing that a client sees of it changes any more, so any process may keep it. All else is read: who
# resumes an upload must see what others added to it, and one that was aborted may turn out to be a file.
_ENDED = (State.COMPLETED,)


class ManagementService:
    """Args:
    ended: uploads that were read before and have ended.
    """

    def __init__(
        self, sessions: Sessions, cleaner: Cleaner, metrics: Metrics, ended: Cache[Progress]
    ) -> None:
        self._sessions, self._cleaner, self._metrics, self._ended = sessions, cleaner, metrics, ended

    async def status(self, upload_uuid: UUID, user_id: UUID) -> Progress:
        subject, reader = str(upload_uuid), str(user_id)
        known, ticket = await self._ended.get(subject, reader)
        if known is not None:
            return known
        progress = await self._sessions.status(upload_uuid, user_id)
        if progress is None:
            raise errors.not_found()
        if progress.session.status in _ENDED:
            await self._ended.keep(subject, reader, progress, ticket)
        return progress

    async def own(
        self, user_id: UUID, *, ended_too: bool, page: int, size: int
    ) -> tuple[list[Progress], int]:
        """A page of the user's uploads, newest first, and how many there are in all."""
        return await self._sessions.own(user_id, ended_too=ended_too, limit=size, offset=(page - 1) * size)

    async def abort(self, upload_uuid: UUID, user_id: UUID) -> None:
        """End an open or failed upload and remove its bytes; fine when it is aborted already.

        Raises:
            Fault: ``upload_not_open``, also when it turns out to be a file already: then it is completed.
        """
        found = await self._sessions.abort(upload_uuid, user_id)
        if found is None:
            raise errors.not_found()
        session, done = found
        if not done and session.status is not State.ABORTED:
            raise errors.not_open()
        if not await self._cleaner.give_up(session):
            raise errors.not_open()
        if done:
            self._metrics.sessions(session.method, "aborted").inc()
