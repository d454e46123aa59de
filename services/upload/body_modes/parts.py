"""A file of unknown length, or too long for one PUT: in parts of 8 MiB, one filling, one on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from hashlib import sha256

from services.kit.errors import unavailable
from services.kit.s3 import NoSuchUploadError, S3Client, Stored, StoreError
from services.kit.s3.retry import Retry
from services.upload import errors
from services.upload.body_modes.memory import HeldBytes
from services.upload.body_modes.put import put_held, sent
from services.upload.body_modes.sink import Incoming, Kept
from services.upload.model import MAX_PARTS, MIN_PART_BYTES, RegisteredPart
from services.upload.repository.sessions import Sessions

PART_BYTES = 8 * 1024 * 1024
MAX_BYTES = MAX_PARTS * MIN_PART_BYTES


class _Part:
    """Pieces as they came, never joined: memory for them all would be taken twice."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._digest = sha256()
        self.size_bytes = 0

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()

    async def read(self) -> AsyncGenerator[bytes, None]:
        for data in self._pieces:
            yield data


class PartsSink:
    """A file that ends within the first part is stored by one PUT; see ``sink.FileSink``."""

    def __init__(
        self,
        store: S3Client,
        sessions: Sessions,
        incoming: Incoming,
        *,
        held: HeldBytes,
        retry: Retry,
    ) -> None:
        self._store, self._sessions, self._incoming = store, sessions, incoming
        self._memory, self._retry = held, retry
        self._key = incoming.session.storage_key
        self._filling = _Part()
        self._upload_id: str | None = None
        self._sending: asyncio.Task[RegisteredPart] | None = None
        self._parts: list[RegisteredPart] = []
        self._put = False

    @property
    def full(self) -> bool:
        return self._filling.size_bytes >= PART_BYTES

    async def write(self, data: bytes) -> None:
        if not self._memory.fits(len(data)):
            await self._make_room()
        await self._memory.take(len(data))
        self._filling.add(data)

    async def _make_room(self) -> None:
        """Where memory is short nothing is filled while a part is on its way, and parts are smaller."""
        if self._sending is None and self._filling.size_bytes >= MIN_PART_BYTES:
            await self.drained()
        await self._sent()

    async def drained(self) -> None:
        """The part that is full leaves as soon as the one before it is stored."""
        await self._sent()
        if self._upload_id is None:
            self._upload_id = await self._open_upload()
        part, self._filling = self._filling, _Part()
        sending = self._send(self._upload_id, len(self._parts) + 1, part)
        self._sending = asyncio.get_running_loop().create_task(sending)

    async def _open_upload(self) -> str:
        try:
            upload_id = await self._store.create_multipart(self._key, content_type=self._incoming.mime_type)
        except StoreError as error:
            raise unavailable("object store") from error
        self._upload_id = upload_id
        # From now on whoever cleans up after us finds it by its id.
        if await self._sessions.save_store_upload(self._incoming.session.id, upload_id) is None:
            raise errors.aborted()
        return upload_id

    async def _send(self, upload_id: str, number: int, part: _Part) -> RegisteredPart:
        async def attempt() -> Stored:
            exchange = await self._store.open_part(
                self._key, upload_id, number, part.size_bytes, payload_sha256=part.checksum
            )
            return await sent(exchange, part.read)

        try:
            stored = await self._retry(attempt)
        except NoSuchUploadError as error:
            raise errors.aborted() from error
        except StoreError as error:
            raise unavailable("object store") from error
        self._memory.give_back(part.size_bytes)
        return RegisteredPart(number, part.size_bytes, stored.etag)

    async def _sent(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            try:
                self._parts.append(await sending)
            finally:
                sending.cancel()

    async def finish(self, checksum: str) -> Kept:
        if self._upload_id is None:
            self._put, whole = True, self._filling
            try:
                return await put_held(
                    self._store,
                    self._incoming,
                    whole.size_bytes,
                    checksum,
                    read=whole.read,
                    retry=self._retry,
                )
            finally:
                self._forget()
        if self._filling.size_bytes:
            await self.drained()
        await self._sent()
        return Kept(store_upload_id=self._upload_id, parts=tuple(self._parts))

    def _forget(self) -> None:
        self._filling = _Part()
        self._memory.give_back()

    async def abort(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            await asyncio.wait((sending,))
        self._forget()
        with suppress(StoreError):
            if self._upload_id is not None:
                await self._store.abort_multipart(self._key, self._upload_id)
            if self._put:
                await self._store.delete(self._key)
