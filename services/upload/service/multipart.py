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
        """The row with its key is there before the store's upload is, so nothing can get lost."""
        judge_size(wanted.file_size_bytes, self._max_bytes)
        count = part_count(wanted.file_size_bytes, part_size_bytes)
        session, _ = await self._opening.open(
            wanted, Shape(Method.MULTIPART, count, part_size_bytes=part_size_bytes)
        )
        if session.status not in _TAKING:
            upload_id = session.storage_upload_id or ""
            return MultipartOpened(session, upload_id, [], session.urls_expire_at or session.created_at)
        upload_id, until = await self._store_upload(session)
        urls = await self._presigner.parts(session, upload_id, range(1, session.total_chunks + 1))
        return MultipartOpened(session, upload_id, urls, until)

    async def _store_upload(self, session: Session) -> tuple[str, datetime]:
        fresh = session.storage_upload_id
        if fresh is None:
            try:
                fresh = await self._store.create_multipart(
                    session.storage_key, content_type=session.mime_type
                )
            except StoreError as error:
                raise unavailable("object store") from error
        saved = await self._sessions.save_store_upload(session.id, fresh, self._presigner.life)
        if saved is None or saved[0] != fresh:
            await self._cleaner.remove_part_upload(session.storage_key, fresh)
        if saved is None or saved[1] is None:
            raise errors.not_open()
        return saved[0], saved[1]

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
            self._metrics.parts("refused").inc()
            raise

    async def _register(self, upload_uuid: UUID, user_id: UUID, part: RegisteredPart) -> str:
        registered = await self._parts.register(upload_uuid, user_id, part)
        if registered is None:
            raise errors.not_found()
        if not registered.stored:
            return self._not_stored(registered, part)
        if registered.old_etag is None:
            return "new"
        return "same" if same_etag(registered.old_etag, part.etag) else "updated"

    @staticmethod
    def _not_stored(registered: Registered, part: RegisteredPart) -> str:
        session = registered.session
        _judge(session, [part.number])
        if session.status not in _TAKING:
            if session.status in {State.COMPLETED, State.COMPLETING} and same_etag(
                registered.old_etag, part.etag
            ):
                return "same"
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
