"""Multipart uploads: the client sends parts to the store, registers them and calls the upload complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.kit.errors import Fault, unavailable
from services.kit.s3 import S3Client, StoreError, same_etag
from services.upload import errors
from services.upload.cleaning import Cleaner
from services.upload.metrics import Metrics
from services.upload.model import (
    MAX_PART_BYTES,
    MAX_PARTS,
    MAX_PUT_BYTES,
    MIN_PART_BYTES,
    Method,
    NewSession,
    OpenOutcome,
    PartOutcome,
    RegisteredPart,
    Session,
    State,
)
from services.upload.repository.parts import Parts, Registered
from services.upload.repository.sessions import Sessions
from services.upload.service.completing import Completing
from services.upload.service.opening import Opening, Shape, Wanted, judge_size
from services.upload.service.presigned import PartUrl, Presigner

_TAKING = {State.PENDING, State.UPLOADING}


@dataclass(frozen=True, slots=True)
class MultipartOpened:
    session: Session
    store_upload_id: str
    parts: list[PartUrl]
    urls_expire_at: datetime


def part_count(size_bytes: int, part_size_bytes: int) -> int:
    """How many parts a file has.

    Raises:
        Fault: ``invalid_part_size`` or ``too_many_parts``.
    """
    count = -(-size_bytes // part_size_bytes)
    if count <= 1:
        if size_bytes > MAX_PUT_BYTES:
            raise Fault("invalid_part_size", f"One part may have at most {MAX_PART_BYTES} bytes.")
        return count
    if not MIN_PART_BYTES <= part_size_bytes <= MAX_PART_BYTES:
        raise Fault("invalid_part_size", f"A part of several has {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes.")
    if count > MAX_PARTS:
        raise Fault("too_many_parts", f"{count} parts are more than {MAX_PARTS}.")
    return count


class MultipartService:
    def __init__(
        self,
        opening: Opening,
        sessions: Sessions,
        parts: Parts,
        *,
        store: S3Client,
        presigner: Presigner,
        completing: Completing,
        cleaner: Cleaner,
        metrics: Metrics,
        max_bytes: int,
    ) -> None:
        self._opening, self._sessions, self._parts, self._store = opening, sessions, parts, store
        self._presigner, self._completing, self._cleaner = presigner, completing, cleaner
        self._metrics, self._max_bytes = metrics, max_bytes

    async def open(self, wanted: Wanted, part_size_bytes: int) -> MultipartOpened:
        """The store's upload comes first, so that one statement writes all there is to know.

        A process that dies in between leaves a store upload without a row, at the key that its request
        would have had; one that no session needs is given up at once.
        """
        judge_size(wanted.file_size_bytes, self._max_bytes)
        new = self._opening.new(wanted, self._shape(wanted.file_size_bytes, part_size_bytes))
        new = await self._with_store_upload(new)
        outcome, found = await self._opening.insert(new)
        if outcome is not OpenOutcome.CREATED and new.storage_upload_id is not None:
            await self._cleaner.remove_part_upload(new.storage_key, new.storage_upload_id)
        session = await self._opening.judge(new, outcome, found)
        upload_id, until = session.storage_upload_id or "", session.urls_expire_at or session.created_at
        if session.status not in _TAKING:
            return MultipartOpened(session, upload_id, [], until)
        numbers = range(1, session.total_chunks + 1)
        if outcome is OpenOutcome.REPEATED:
            urls, until = await self.presign(session.upload_uuid, session.user_id, numbers)
        else:
            urls = await self._presigner.parts(session, upload_id, numbers)
        return MultipartOpened(session, upload_id, urls, until)

    def _shape(self, file_size_bytes: int, part_size_bytes: int) -> Shape:
        count = part_count(file_size_bytes, part_size_bytes)
        return Shape(
            Method.MULTIPART,
            count,
            part_size_bytes=part_size_bytes,
            last_part_bytes=file_size_bytes - part_size_bytes * (count - 1) if count else None,
            urls_life=self._presigner.life,
        )

    async def _with_store_upload(self, new: NewSession) -> NewSession:
        if not new.file_size_bytes:
            return new
        try:
            upload_id = await self._store.create_multipart(new.storage_key, content_type=new.mime_type)
        except StoreError as error:
            raise unavailable("object store") from error
        return replace(new, storage_upload_id=upload_id)

    async def presign(
        self, upload_uuid: UUID, user_id: UUID, numbers: Sequence[int]
    ) -> tuple[list[PartUrl], datetime]:
        """New URLs, in the order asked."""
        found = await self._sessions.extend_urls(upload_uuid, user_id, Method.MULTIPART, self._presigner.life)
        if found is None:
            raise errors.not_found()
        session, until = found
        _judge(session, numbers)
        if session.status not in _TAKING or session.storage_upload_id is None:
            raise errors.state_fault(session)
        return await self._presigner.parts(session, session.storage_upload_id, numbers), until

    async def register(self, upload_uuid: UUID, user_id: UUID, part: RegisteredPart) -> None:
        """Remember that a part was sent; repeating it updates what is remembered."""
        try:
            self._metrics.parts(await self._register(upload_uuid, user_id, part)).inc()
        except Fault:
            self._metrics.parts(PartOutcome.REFUSED).inc()
            raise

    async def _register(self, upload_uuid: UUID, user_id: UUID, part: RegisteredPart) -> PartOutcome:
        registered = await self._parts.register(upload_uuid, user_id, part)
        if registered is None:
            raise errors.not_found()
        if not registered.stored:
            return self._not_stored(registered, part)
        if registered.old_etag is None:
            return PartOutcome.NEW
        return PartOutcome.SAME if same_etag(registered.old_etag, part.etag) else PartOutcome.UPDATED

    @staticmethod
    def _not_stored(registered: Registered, part: RegisteredPart) -> PartOutcome:
        session = registered.session
        _judge(session, [part.number])
        if session.status not in _TAKING:
            if session.status in {State.COMPLETED, State.COMPLETING} and same_etag(
                registered.old_etag, part.etag
            ):
                return PartOutcome.SAME
            raise errors.state_fault(session)
        raise errors.size_mismatch(f"Part {part.number} of this upload has another length.")

    async def complete(self, upload_uuid: UUID, user_id: UUID) -> Session:
        """Durable when it returns; repeating it changes nothing."""
        session = await self._completing.complete(upload_uuid, user_id, Method.MULTIPART, None)
        return replace(session, status=State.COMPLETED)


def _judge(session: Session, numbers: Sequence[int]) -> None:
    if session.method is not Method.MULTIPART:
        raise errors.wrong_method(session)
    if any(not 1 <= number <= session.total_chunks for number in numbers):
        raise errors.invalid_part_number(session.total_chunks)
