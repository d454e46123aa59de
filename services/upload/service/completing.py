"""``complete`` of direct uploads: take the state and the job, finalise, or join who does."""

from __future__ import annotations

from typing import assert_never
from uuid import UUID

from services.upload import errors
from services.upload.finalise.worker import Finaliser
from services.upload.model import CompleteOutcome, Method, Session
from services.upload.repository.parts import Parts


class Completing:
    def __init__(self, parts: Parts, finaliser: Finaliser) -> None:
        self._parts, self._finaliser = parts, finaliser

    async def complete(self, upload_uuid: UUID, user_id: UUID, method: Method, etag: str | None) -> Session:
        """Returns when the upload is durable.

        Raises:
            Fault: the refusals of the contract; what the store's check found; a failed attempt.
        """
        begun = await self._parts.begin(upload_uuid, user_id, method, etag)
        if begun is None:
            raise errors.not_found()
        session = begun.session
        match begun.outcome:
            case CompleteOutcome.DONE:
                return session
            case CompleteOutcome.WRONG_METHOD:
                raise errors.wrong_method(session)
            case CompleteOutcome.ABORTED:
                raise errors.aborted()
            case CompleteOutcome.MISSING:
                raise errors.missing_parts(begun.missing)
            case CompleteOutcome.BEGUN | CompleteOutcome.JOIN:
                if begun.work is not None:
                    self._finaliser.start(begun.work)
            case _:
                assert_never(begun.outcome)
        await self._finaliser.join(session.id)
        return session
