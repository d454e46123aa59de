"""From accepted chunks to the object of a proxied upload.

- one chunk at the final key: nothing to do;
- one temporary object: a copy inside the store;
- parts, the last chunk perhaps a temporary object: copy that one in, complete the multipart upload;
- anything else: repack.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from services.kit.s3 import NoSuchUploadError, NotFoundError, Part, S3Client
from services.upload.finalise.etag import multipart_etag
from services.upload.finalise.joining import join, made_before
from services.upload.finalise.journal import Journal
from services.upload.finalise.repack import Repack
from services.upload.model import MAX_PARTS, Made, Source, SourceKind, Work

TAIL_NUMBER = MAX_PARTS  # no slot ever yields the highest number


class Phases(Protocol):
    """Times the phases of a finalisation."""

    def __call__(self, method: str, phase: str) -> AbstractContextManager[object]: ...


class Maker(Protocol):
    """Makes the object of one kind of upload; safe to repeat from any step."""

    async def make(self, work: Work, journal: Journal) -> Made: ...


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
            stored = await join(self._store, key, upload_id, parts)
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
