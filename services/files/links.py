"""Presigned download links, given out again while half their life remains.

The key holds the time of the last change, and the row is read before every use, so a renamed or deleted
file never gets an old link, on any replica.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from cachetools import TTLCache

from services.files.disposition import attachment
from services.files.model import Link, Readable
from services.kit.s3 import S3Client

ENTRIES = 10_000


class Links:
    """Args:
    life_s: how long a link works.
    now: seconds since the epoch.
    count: told ``hit`` or ``miss`` for each link.
    """

    def __init__(
        self, store: S3Client, life_s: int, now: Callable[[], float], count: Callable[[str], None]
    ) -> None:
        self._store, self._life_s, self._now, self._count = store, life_s, now, count
        self._known: TTLCache[tuple[UUID, datetime], Link] = TTLCache(ENTRIES, life_s / 2, timer=now)

    def give(self, file: Readable) -> Link:
        key = (file.summary.file_id, file.summary.updated_at)
        link = self._known.get(key)
        if link is not None:
            self._count("hit")
            return link
        self._count("miss")
        link = self._known[key] = self._sign(file, int(self._now()))
        return link

    def _sign(self, file: Readable, signed_at: int) -> Link:
        url = self._store.presign_get(
            file.storage_key,
            self._life_s,
            disposition=attachment(file.summary.name),
            content_type=file.summary.mime_type,
            signed_at=signed_at,
        )
        return Link(url, datetime.fromtimestamp(signed_at + self._life_s, UTC))
