"""Bodies that are whole on our side before the store gets them."""

from __future__ import annotations

from contextlib import suppress

from services.kit.s3 import S3Client, StoreError
from services.kit.s3.retry import Retry
from services.upload.body_modes.parts import PartsSink
from services.upload.body_modes.put import Read, put_held
from services.upload.body_modes.sink import Incoming, Kept
from services.upload.body_modes.streamed import Streamed
from services.upload.model import MAX_PUT_BYTES


class Held:
    """What spooled and buffered bodies share: what is still held can be sent again."""

    def __init__(self, store: S3Client, streamed: Streamed, incoming: Incoming, retry: Retry) -> None:
        self._store, self._streamed, self._incoming, self._retry = store, streamed, incoming, retry
        self._parts: PartsSink | None = None
        self._size_bytes = 0
        self._put = False

    async def _send(self, checksum: str, read: Read) -> Kept:
        if self._size_bytes > MAX_PUT_BYTES:
            self._parts = self._streamed.parts(self._incoming)
            async for data in read():
                await self._parts.write(data)
                if self._parts.full:
                    await self._parts.drained()
            return await self._parts.finish(checksum)
        self._put = True
        return await put_held(
            self._store, self._incoming, self._size_bytes, checksum, read=read, retry=self._retry
        )

    async def _unsend(self) -> None:
        if self._parts is not None:
            await self._parts.abort()
        if self._put:
            with suppress(StoreError):
                await self._store.delete(self._incoming.session.storage_key)
