"""Files that came in one request: the object is at its final key already, or only has to be joined."""

from __future__ import annotations

from services.kit.s3 import NoSuchUploadError, NotFoundError, Part, S3Client
from services.upload.finalise.etag import multipart_etag
from services.upload.finalise.joining import join, made_before
from services.upload.finalise.journal import Journal
from services.upload.finalise.proxied import Phases
from services.upload.model import Made, Work


class WholeMaker:
    """Nothing to do for an object that was stored by one PUT: its ETag was recorded when it was accepted."""

    def __init__(self, store: S3Client, phases: Phases) -> None:
        self._store, self._phases = store, phases

    async def make(self, work: Work, journal: Journal) -> Made:
        if not work.parts:
            return Made(work.etag or "", work.checksum)
        session = work.session
        parts = [Part(part.number, part.etag, part.size_bytes) for part in work.parts]
        with self._phases(session.method, "store"):
            try:
                stored = await join(self._store, session.storage_key, session.storage_upload_id or "", parts)
            except (NoSuchUploadError, NotFoundError):  # joined before, and the answer got lost
                return await made_before(self._store, work, multipart_etag([part.etag for part in parts]))
        return Made(stored.etag, work.checksum)
