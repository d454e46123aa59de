"""URLs for clients, signed here without a request to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from services.kit.s3 import S3Client
from services.upload.model import Session

_BATCH = 25  # about a millisecond of signing, then the loop gets a turn


@dataclass(frozen=True, slots=True)
class PartUrl:
    number: int
    url: str


class Presigner:
    """Args:
    life_s: how long a PUT URL is good.
    """

    def __init__(self, store: S3Client, life_s: int) -> None:
        self._store, self.life_s = store, life_s

    @property
    def life(self) -> timedelta:
        return timedelta(seconds=self.life_s)

    def put(self, session: Session) -> str:
        return self._store.presign_put(session.storage_key, self.life_s)

    async def parts(self, session: Session, upload_id: str, numbers: Iterable[int]) -> list[PartUrl]:
        """In the order asked."""
        urls: list[PartUrl] = []
        for number in numbers:
            if len(urls) % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
            size_bytes = session.part_bytes(number)
            url = self._store.presign_part(session.storage_key, upload_id, number, size_bytes, self.life_s)
            urls.append(PartUrl(number, url))
        return urls
