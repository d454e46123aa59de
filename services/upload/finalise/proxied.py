"""From accepted chunks to the object of a proxied upload.

- one chunk at the final key: nothing to do;
- one temporary object: a copy inside the store;
- parts, the last chunk perhaps a temporary object: copy that one in, complete the multipart upload;
- anything else: repack.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from services.kit.s3 import (
    InvalidPartError,
    NoSuchUploadError,
    NotFoundError,
    Part,
    S3Client,
    same_etag,
)
from services.upload.finalise.etag import multipart_etag
from services.upload.finalise.journal import Journal
from services.upload.finalise.outcome import GaveUpError
from services.upload.finalise.repack import Repack
from services.upload.model import MAX_PARTS, Made, Source, SourceKind, Work

TAIL_NUMBER = MAX_PARTS  # no slot ever yields the highest number


class Phases(Protocol):
    """Times the phases of a finalisation."""

    def __call__(self, method: str, phase: str) -> AbstractContextManager[object]: ...


class Maker(Protocol):
    """Makes the object of one kind of upload; safe to repeat from any step."""

    async def make(self, work: Work, journal: Journal) -> Made: ...


def data_gone() -> GaveUpError:
    return GaveUpError("upload_failed", "The bytes received so far are no longer in the store.")


async def made_before(store: S3Client, work: Work, etag: str | None) -> Made:
    """The sources are gone: then the object must be there, with the ETag that they say it has.

    Raises:
        GaveUpError: it is not; size alone proves nothing.
    """
    try:
        found = await store.head(work.session.storage_key)
    except NotFoundError as error:
        raise data_gone() from error
    if etag is None or found.size_bytes != work.session.file_size_bytes or not same_etag(found.etag, etag):
        raise data_gone()
    return Made(found.etag, work.checksum)


def lost(wanted: list[Part], stored: list[Part]) -> bool:
    """Whether a part is missing in the store, or is another one."""
    theirs = {part.number: part.etag for part in stored}
    return not all(same_etag(theirs.get(part.number, ""), part.etag) for part in wanted)


class EmptyMaker:
    """A file of no bytes."""

    def __init__(self, store: S3Client, phases: Phases) -> None:
        self._store, self._phases = store, phases

    async def make(self, work: Work, journal: Journal) -> Made:
        session = work.session
        with self._phases(session.method, "store"):
            stored = await self._store.put_bytes(session.storage_key, b"", content_type=session.mime_type)
        return Made(stored.etag, work.checksum)


def _joinable(work: Work) -> bool:
    """Whether the store can join them: parts, the last chunk perhaps a temporary object."""
    *head, last = work.sources
    kinds = {source.kind for source in head}
    return kinds == {SourceKind.PART} and last.kind in {SourceKind.PART, SourceKind.TEMPORARY}


class ProxiedMaker:
    def __init__(self, store: S3Client, repack: Repack, phases: Phases) -> None:
        self._store, self._repack, self._phases = store, repack, phases

    async def make(self, work: Work, journal: Journal) -> Made:
        only = work.sources[0] if len(work.sources) == 1 else None
        if only is not None and only.kind is SourceKind.FINAL:
            return Made(only.etag or "", work.checksum)
        method = work.session.method
        if only is not None and only.kind is SourceKind.TEMPORARY:
            with self._phases(method, "store"):
                return await self._copy(work, only)
        if _joinable(work):
            with self._phases(method, "store"):
                return await self._complete(work)
        with self._phases(method, "assemble"):
            return await self._repack.make(work, journal)

    async def _copy(self, work: Work, source: Source) -> Made:
        session = work.session
        meta = {"sha256": work.checksum} if work.checksum else None
        try:
            stored = await self._store.copy(
                source.place,
                session.storage_key,
                source_etag=source.etag,
                content_type=session.mime_type,
                meta=meta,
            )
        except NotFoundError:
            return await made_before(self._store, work, source.etag)
        return Made(stored.etag, work.checksum)

    async def _complete(self, work: Work) -> Made:
        session = work.session
        key, upload_id = session.storage_key, session.storage_upload_id or ""
        try:
            parts = [await self._part(work, source) for source in work.sources]
            try:
                stored = await self._store.complete_multipart(key, upload_id, parts)
            except InvalidPartError as error:
                # MinIO forgets parts when whoever completes the upload is cut off in the middle of it.
                if lost(parts, await self._store.list_parts(key, upload_id)):
                    raise data_gone() from error
                raise
        except (NoSuchUploadError, NotFoundError):  # completed before, and the answer got lost
            expected = multipart_etag([source.etag for source in work.sources])
            return await made_before(self._store, work, expected)
        return Made(stored.etag, work.checksum)

    async def _part(self, work: Work, source: Source) -> Part:
        if source.kind is SourceKind.PART:
            return Part(int(source.place), source.etag or "", source.size_bytes)
        session = work.session
        stored = await self._store.copy_part(
            session.storage_key,
            session.storage_upload_id or "",
            TAIL_NUMBER,
            source.place,
            source_etag=source.etag,
        )
        return Part(TAIL_NUMBER, stored.etag, source.size_bytes)
