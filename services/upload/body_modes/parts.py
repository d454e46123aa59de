"""A file of unknown length, or too long for one PUT: in parts of 8 MiB, one filling, one on its way."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.kit.errors import unavailable
from services.kit.s3 import NoSuchUploadError, PreconditionFailedError, S3Client, StoreError
from services.upload import errors
from services.upload.body_modes.memory import HeldBytes
from services.upload.body_modes.put import stored_before
from services.upload.body_modes.sink import Incoming, Kept
from services.upload.model import MAX_PARTS, MIN_PART_BYTES, RegisteredPart
from services.upload.repository.sessions import Sessions

PART_BYTES = 8 * 1024 * 1024
MAX_BYTES = MAX_PARTS * MIN_PART_BYTES


class PartsSink:
    """A file that ends within the first part is stored by one PUT; see ``sink.FileSink``."""

    def __init__(self, store: S3Client, sessions: Sessions, incoming: Incoming, held: HeldBytes) -> None:
        self._store, self._sessions, self._incoming, self._memory = store, sessions, incoming, held
        self._key = incoming.session.storage_key
        self._filling: list[bytes] = []
        self._filled_bytes = 0
        self._upload_id: str | None = None
        self._sending: asyncio.Task[RegisteredPart] | None = None
        self._parts: list[RegisteredPart] = []
        self._put = False

    @property
    def full(self) -> bool:
        return self._filled_bytes >= PART_BYTES

    async def write(self, data: bytes) -> None:
        if not self._memory.fits(len(data)):
            await self._make_room()
        self._memory.take(len(data))
        self._filling.append(data)
        self._filled_bytes += len(data)

    async def drained(self) -> None:
        """The part that is full leaves as soon as the one before it is stored."""
        await self._sent()
        if self._upload_id is None:
            self._upload_id = await self._open_upload()
        number = len(self._parts) + 1
        part = self._send(self._upload_id, number, self._taken())
        self._sending = asyncio.get_running_loop().create_task(part)

    async def _make_room(self) -> None:
        """Where memory is short nothing is filled while a part is on its way, and parts are smaller."""
        if self._sending is None and self._filled_bytes >= MIN_PART_BYTES:
            await self.drained()
        await self._sent()

    def _taken(self) -> bytes:
        body = b"".join(self._filling)
        self._filling, self._filled_bytes = [], 0
        return body

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

    async def _send(self, upload_id: str, number: int, body: bytes) -> RegisteredPart:
        try:
            stored = await self._store.put_part_bytes(self._key, upload_id, number, body)
        except NoSuchUploadError as error:
            raise errors.aborted() from error
        except StoreError as error:
            raise unavailable("object store") from error
        self._memory.give_back(len(body))
        return RegisteredPart(number, len(body), stored.etag)

    async def _sent(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            try:
                self._parts.append(await sending)
            finally:
                sending.cancel()

    async def finish(self, checksum: str) -> Kept:
        if self._upload_id is None:
            return await self._whole(checksum)
        if self._filling:
            await self.drained()
        await self._sent()
        return Kept(store_upload_id=self._upload_id, parts=tuple(self._parts))

    async def _whole(self, checksum: str) -> Kept:
        self._put = True
        try:
            stored = await self._store.put_bytes(
                self._key,
                self._taken(),
                if_none_match=True,
                content_type=self._incoming.mime_type,
                meta={"sha256": checksum},
            )
        except PreconditionFailedError:  # an attempt before was stored, and its answer got lost
            return await stored_before(self._store, self._incoming.session, checksum)
        except StoreError as error:
            raise unavailable("object store") from error
        finally:
            self._memory.give_back()
        return Kept(stored.etag)

    async def abort(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            await asyncio.wait((sending,))
        self._filling, self._filled_bytes = [], 0
        self._memory.give_back()
        with suppress(StoreError):
            if self._upload_id is not None:
                await self._store.abort_multipart(self._key, self._upload_id)
            if self._put:
                await self._store.delete(self._key)
