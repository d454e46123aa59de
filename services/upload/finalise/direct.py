"""Checking and completing what clients stored by presigned URLs.

The URL of a part takes just that part's length, and the store compares numbers and ETags when it
completes an upload; so its own list of parts is asked for only when it refuses, to say which are wrong.
"""

from __future__ import annotations

from services.kit.errors import Fault
from services.kit.s3 import (
    InvalidPartError,
    NoSuchUploadError,
    NotFoundError,
    Part,
    S3Client,
    same_etag,
)
from services.upload import errors
from services.upload.finalise.etag import multipart_etag
from services.upload.finalise.joining import found, made_before
from services.upload.finalise.journal import Journal
from services.upload.finalise.outcome import ReopenError
from services.upload.finalise.proxied import Phases
from services.upload.model import Made, RegisteredPart, State, Work


def differing(registered: tuple[RegisteredPart, ...], stored: list[Part]) -> list[int]:
    """Numbers whose part in the store is missing, surplus, or of another size or ETag."""
    theirs = {part.number: part for part in stored}
    wrong = set(theirs) - {part.number for part in registered}
    for part in registered:
        found = theirs.get(part.number)
        if found is None or found.size_bytes != part.size_bytes or not same_etag(found.etag, part.etag):
            wrong.add(part.number)
    return sorted(wrong)


class MultipartMaker:
    """Complete the store's upload with the registered parts."""

    def __init__(self, store: S3Client, phases: Phases) -> None:
        self._store, self._phases = store, phases

    async def make(self, work: Work, journal: Journal) -> Made:
        session = work.session
        key, upload_id = session.storage_key, session.storage_upload_id or ""
        parts = [Part(part.number, part.etag, part.size_bytes) for part in work.parts]
        try:
            try:
                with self._phases(session.method, "store"):
                    stored = await self._store.complete_multipart(key, upload_id, parts)
            except InvalidPartError as error:
                with self._phases(session.method, "verify"):
                    made = await found(self._store, key, multipart_etag([part.etag for part in parts]))
                    if made is not None:  # completed before, and a part that came late brought it back
                        return Made(made.etag)
                    wrong = differing(work.parts, await self._store.list_parts(key, upload_id))
                numbers = wrong or [part.number for part in parts]  # sent again since it was refused
                raise ReopenError(State.UPLOADING, errors.invalid_part(numbers[:100])) from error
        except (NoSuchUploadError, NotFoundError):  # completed before, and the answer got lost
            return await made_before(self._store, work, multipart_etag([part.etag for part in work.parts]))
        return Made(stored.etag)


class SingleMaker:
    """Ask the store for the object that the client PUT."""

    def __init__(self, store: S3Client, phases: Phases) -> None:
        self._store, self._phases = store, phases

    async def make(self, work: Work, journal: Journal) -> Made:
        with self._phases(work.session.method, "verify"):
            try:
                there = await self._store.head(work.session.storage_key)
            except NotFoundError as error:
                raise ReopenError(State.PENDING, errors.object_missing()) from error
        fault = self._difference(work, there.size_bytes, there.etag)
        if fault is not None:
            raise ReopenError(State.PENDING, fault)
        return Made(there.etag)

    @staticmethod
    def _difference(work: Work, size_bytes: int, etag: str) -> Fault | None:
        declared = work.session.file_size_bytes
        if size_bytes != declared:
            return errors.size_mismatch(f"The object has {size_bytes} bytes, declared were {declared}.")
        if work.etag is not None and not same_etag(work.etag, etag):
            return errors.invalid_part([1], "The object has another ETag than the one given.")
        return None
