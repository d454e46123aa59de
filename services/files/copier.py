"""Copies of objects, made inside the store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from services.files.model import Readable
from services.kit.s3 import ByteRange, NoSuchUploadError, Part, S3Client, StoreError

GIB = 1 << 30
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """The most that one request copies, and how long the parts of larger objects are, in bytes."""

    whole_bytes: int = 5 * GIB
    part_bytes: int = GIB


class Copier:
    def __init__(self, store: S3Client, limits: CopyLimits | None = None) -> None:
        self._store, self._limits = store, limits or CopyLimits()

    async def copy(self, source: Readable, key: str) -> str:
        """Copy the object, exactly as it was registered, to a key that was never used; the copy's ETag.

        Raises:
            StoreError: see ``kit.s3.errors``.
        """
        if source.summary.size_bytes <= self._limits.whole_bytes:
            return (await self._store.copy(source.storage_key, key, source_etag=source.etag)).etag
        upload_id = await self._store.create_multipart(key, content_type=source.summary.mime_type)
        try:
            return await self._in_parts(source, key, upload_id)
        except BaseException:
            with suppress(StoreError):
                await self._store.abort_multipart(key, upload_id)
            raise

    async def _in_parts(self, source: Readable, key: str, upload_id: str) -> str:
        size_bytes, parts = source.summary.size_bytes, list[Part]()
        part_bytes = max(self._limits.part_bytes, -(-size_bytes // MAX_PARTS))
        for number, first in enumerate(range(0, size_bytes, part_bytes), start=1):
            last = min(first + part_bytes, size_bytes) - 1
            stored = await self._store.copy_part(
                key,
                upload_id,
                number,
                source.storage_key,
                byte_range=ByteRange(first, last),
                source_etag=source.etag,
            )
            parts.append(Part(number, stored.etag))
        try:
            return (await self._store.complete_multipart(key, upload_id, parts)).etag
        except NoSuchUploadError:  # the answer to a first completion got lost: nobody else writes to this key
            return (await self._store.head(key)).etag
