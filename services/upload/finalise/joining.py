"""Joining parts to an object, and telling whether that was done before.

The store joins the parts of an upload once: whoever asks again hears that there is no such upload. What
proves that the object is the one that was to be made is its ETag, known before from those of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.kit.s3 import (
    InvalidPartError,
    NoSuchUploadError,
    NotFoundError,
    ObjectInfo,
    Part,
    S3Client,
    Stored,
    same_etag,
)
from services.upload import errors
from services.upload.finalise.outcome import GaveUpError
from services.upload.model import Made, Work


def gone() -> GaveUpError:
    return GaveUpError("upload_failed", errors.BYTES_GONE)


async def join(
    store: S3Client, key: str, upload_id: str, parts: Sequence[Part], *, if_match: str | None = None
) -> Stored:
    """Complete the store's upload.

    Args:
        if_match: ETag of the object that is there before; another one is not replaced.

    Raises:
        NoSuchUploadError: also when the store no longer has these parts: they were joined before, or lost.
    """
    try:
        return await store.complete_multipart(key, upload_id, parts, if_match=if_match)
    except InvalidPartError as error:
        # MinIO forgets parts when whoever completes the upload is cut off in the middle of it; in versitygw a
        # part that comes late brings an upload back that was completed.
        if lost(parts, await store.list_parts(key, upload_id)):
            raise NoSuchUploadError(error.op, error.status, error.code) from error
        raise


def lost(wanted: Sequence[Part], stored: Sequence[Part]) -> bool:
    """Whether a part is missing in the store, or is another one."""
    theirs = {part.number: part.etag for part in stored}
    return not all(same_etag(theirs.get(part.number, ""), part.etag) for part in wanted)


async def found(store: S3Client, key: str, etag: str | None) -> ObjectInfo | None:
    """The object at ``key``, if it has that ETag; an unknown one (None) is nobody's."""
    try:
        there = await store.head(key)
    except NotFoundError:
        return None
    return there if etag is not None and same_etag(there.etag, etag) else None


async def made_before(store: S3Client, work: Work, etag: str | None) -> Made:
    """The sources are gone: then the object must be there, with the ETag that they say it has.

    Raises:
        GaveUpError: it is not; size alone proves nothing.
    """
    there = await found(store, work.session.storage_key, etag)
    if there is None or there.size_bytes != work.session.file_size_bytes:
        raise gone()
    return Made(there.etag, work.checksum)
