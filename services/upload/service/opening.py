"""Opening an upload of any kind: limits, idempotency keys, files of no bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.kit.clock import World
from services.kit.errors import Fault
from services.kit.names import file_name, type_by_name
from services.kit.trail import about
from services.upload import errors
from services.upload.finalise.worker import Finaliser
from services.upload.metrics import Metrics
from services.upload.model import Method, NewSession, OpenOutcome, Session, State, Work
from services.upload.repository.sessions import Sessions

MAX_FILE_BYTES = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks to upload, as it said it."""

    user_id: UUID
    file_name: str
    file_size_bytes: int
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a method adds: how the file is cut, how it is finalised, how long URLs live."""

    method: Method
    total_chunks: int
    part_size_bytes: int | None = None
    last_part_bytes: int | None = None
    finalise_mode: str = "inline"
    urls_life: timedelta | None = None


def judge_size(size_bytes: int, maximum: int) -> None:
    """Raises Fault: ``invalid_file_size`` or ``file_too_large``."""
    if not 0 <= size_bytes <= MAX_FILE_BYTES:
        raise Fault("invalid_file_size", "A file has 0 to 2^63-1 bytes.")
    if size_bytes > maximum:
        raise Fault("file_too_large", f"A file uploaded this way may have at most {maximum} bytes.")


class Opening:
    """Args:
    limit: open uploads a user may have.
    ttl: life of an upload without activity.
    """

    def __init__(
        self,
        sessions: Sessions,
        finaliser: Finaliser,
        world: World,
        metrics: Metrics,
        *,
        limit: int,
        ttl: timedelta,
    ) -> None:
        self._sessions, self._finaliser, self._world, self._metrics = sessions, finaliser, world, metrics
        self._limit, self._ttl = limit, ttl

    def new(self, wanted: Wanted, shape: Shape) -> NewSession:
        """The session to be opened; no bytes, no URLs.

        Raises:
            Fault: the name.
        """
        name, some = file_name(wanted.file_name), wanted.file_size_bytes > 0
        return NewSession(
            upload_uuid=about(self._world.new_uuid()),
            user_id=wanted.user_id,
            method=shape.method,
            file_name=name,
            mime_type=type_by_name(name),
            file_size_bytes=wanted.file_size_bytes,
            part_size_bytes=shape.part_size_bytes,
            last_part_bytes=shape.last_part_bytes,
            total_chunks=shape.total_chunks,
            finalise_mode=shape.finalise_mode if some else "inline",
            idempotency_key=wanted.idempotency_key,
            ttl=self._ttl,
            urls_life=shape.urls_life if some else None,
        )

    async def insert(self, new: NewSession) -> tuple[OpenOutcome, Session | None]:
        return await self._sessions.insert(new, self._limit)

    async def open(self, new: NewSession) -> tuple[OpenOutcome, Session]:
        """The session, new or as the same request opened it before.

        Raises:
            Fault: see ``judge``.
        """
        outcome, session = await self.insert(new)
        return outcome, await self.judge(new, outcome, session)

    async def judge(self, new: NewSession, outcome: OpenOutcome, session: Session | None) -> Session:
        """The session that was inserted or found; a file of no bytes is durable when this returns.

        Raises:
            Fault: the limit, the idempotency key, or a failed finalisation.
        """
        if session is None:
            raise Fault("too_many_open_uploads", f"A user may have at most {self._limit} open uploads.")
        about(session.upload_uuid)
        created = outcome is OpenOutcome.CREATED
        if created:
            self._metrics.sessions(new.method, "created").inc()
        else:
            self._judge_repeat(new, session)
        if session.file_size_bytes == 0 and session.status is not State.COMPLETED:
            return await self._empty(session, created=created)
        return session

    @staticmethod
    def _judge_repeat(new: NewSession, session: Session) -> None:
        if not new.same_facts(session):
            raise Fault("idempotency_conflict", "This Idempotency-Key was used with other facts.")
        if session.status is State.ABORTED:
            raise errors.aborted()

    async def _empty(self, session: Session, *, created: bool) -> Session:
        if created:
            self._finaliser.start(Work(session))
        elif session.status is State.FAILED:
            raise errors.failed(session.error_message)
        await self._finaliser.join(session.id)
        return session.with_status(State.COMPLETED)
