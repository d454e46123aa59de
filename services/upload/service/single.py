"""Single uploads: one presigned PUT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.upload.model import MAX_PUT_BYTES, Method, OpenOutcome, Session, State
from services.upload.repository.sessions import Sessions
from services.upload.service.completing import Completing
from services.upload.service.opening import Opening, Shape, Wanted, judge_size
from services.upload.service.presigned import Presigner


@dataclass(frozen=True, slots=True)
class SingleOpened:
    session: Session
    url: str | None
    urls_expire_at: datetime


class SingleService:
    def __init__(
        self, opening: Opening, sessions: Sessions, presigner: Presigner, completing: Completing
    ) -> None:
        self._opening, self._sessions = opening, sessions
        self._presigner, self._completing = presigner, completing

    async def open(self, wanted: Wanted) -> SingleOpened:
        judge_size(wanted.file_size_bytes, MAX_PUT_BYTES)
        shape = Shape(Method.SINGLE, min(1, wanted.file_size_bytes), urls_life=self._presigner.life)
        outcome, session = await self._opening.open(self._opening.new(wanted, shape))
        until = session.urls_expire_at or session.created_at
        if session.status is not State.PENDING:
            return SingleOpened(session, None, until)
        if outcome is OpenOutcome.REPEATED:
            found = await self._sessions.extend_urls(
                session.upload_uuid, session.user_id, Method.SINGLE, self._presigner.life
            )
            until = found[1] if found else until
        return SingleOpened(session, self._presigner.put(session), until)

    async def complete(self, upload_uuid: UUID, user_id: UUID, etag: str | None) -> Session:
        """Durable when it returns; repeating it changes nothing."""
        session = await self._completing.complete(upload_uuid, user_id, Method.SINGLE, etag)
        return replace(session, status=State.COMPLETED)
