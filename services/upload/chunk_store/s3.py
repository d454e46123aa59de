"""Chunks in the object store: the default. No byte touches a disk of ours.

A chunk streams into its final object, a part of the upload's multipart upload, or a temporary object;
``placement`` says which. Costs one store request per chunk, and one more for the first part of an upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import assert_never

from services.kit.clock import World
from services.kit.errors import Fault, unavailable
from services.kit.s3 import (
    MOST_DELETED,
    ChecksumMismatchError,
    NoSuchUploadError,
    NotFoundError,
    PreconditionFailedError,
    S3Client,
    StoreError,
    StreamedPut,
)
from services.upload import errors
from services.upload.chunk_store.sink import Nowhere, Sink
from services.upload.model import Opened, Send, Session, Source, SourceKind, State
from services.upload.placement import Place, Placement, may_be_part, part_number
from services.upload.repository.sessions import Sessions


class _Streamed:
    """What the sinks share: an exchange with the store.

    Args:
        remove: deletes the object when it was stored but not accepted; None when it must stay.
    """

    def __init__(
        self,
        exchange: StreamedPut,
        location: str,
        remove: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._exchange, self._remove = exchange, remove
        self.location: str | None = location
        self.write, self.drained, self.abort = exchange.write, exchange.drained, exchange.abort

    @property
    def full(self) -> bool:
        return self._exchange.full

    async def finish(self, checksum: str) -> str | None:
        try:
            return (await self._exchange.finish()).etag
        except ChecksumMismatchError as error:
            raise errors.checksum_mismatch() from error
        except StoreError as error:
            raise unavailable("object store") from error

    async def discard(self) -> None:
        if self._remove is not None:
            with suppress(StoreError):
                await self._remove()


class _Part(_Streamed):
    """A part of the upload's multipart upload, which the store may have dropped: it keeps none for ever."""

    def __init__(self, exchange: StreamedPut, number: int, lost: Callable[[], Awaitable[Fault]]) -> None:
        super().__init__(exchange, f"{SourceKind.PART}:{number}")
        self._lost = lost

    async def finish(self, checksum: str) -> str | None:
        try:
            return (await self._exchange.finish()).etag
        except ChecksumMismatchError as error:
            raise errors.checksum_mismatch() from error
        except NoSuchUploadError as error:
            raise await self._lost() from error
        except StoreError as error:
            raise unavailable("object store") from error


class _Final(_Streamed):
    """The whole file at its final key, which must be free.

    If it is not, an earlier try may have put the same bytes there: then they count as this sender's,
    once its own bytes have the same hash.
    """

    def __init__(self, exchange: StreamedPut, store: S3Client, session: Session, sessions: Sessions) -> None:
        super().__init__(exchange, SourceKind.FINAL)
        self._store, self._session, self._sessions = store, session, sessions

    async def finish(self, checksum: str) -> str | None:
        try:
            return (await self._exchange.finish()).etag
        except PreconditionFailedError:
            return await self._taken(checksum)
        except ChecksumMismatchError as error:
            raise errors.checksum_mismatch() from error
        except StoreError as error:
            raise unavailable("object store") from error

    async def _taken(self, checksum: str) -> str:
        try:
            found = await self._store.head(self._session.storage_key)
        except NotFoundError as error:
            raise errors.send_again() from error
        except StoreError as error:
            raise unavailable("object store") from error
        if found.meta.get("sha256") == checksum and found.size_bytes == self._session.file_size_bytes:
            return found.etag
        await self._sessions.key_taken(self._session.id)
        raise errors.send_again()


class S3ChunkStore:
    """See ``sink.ChunkStore``."""

    def __init__(self, store: S3Client, sessions: Sessions, placement: Placement, world: World) -> None:
        self._store, self._sessions, self._placement, self._world = store, sessions, placement, world
        self._opening: dict[int, asyncio.Task[str]] = {}

    def claims(self, send: Send) -> bool:
        return may_be_part(send)

    async def open(self, send: Send, opened: Opened, mime_type: str | None) -> Sink:
        place = self._placement.place(send, opened)
        if place is Place.NOWHERE:
            return Nowhere()
        try:
            match place:
                case Place.FINAL:
                    return await self._final(send, opened.session, mime_type)
                case Place.PART:
                    return await self._part(send, opened, mime_type)
                case Place.TEMPORARY:
                    return await self._temporary(send)
                case _:
                    assert_never(place)
        except StoreError as error:
            raise unavailable("object store") from error

    async def _final(self, send: Send, session: Session, mime_type: str | None) -> Sink:
        exchange = await self._store.open_put(
            session.storage_key,
            send.size_bytes,
            payload_sha256=send.checksum,
            if_none_match=True,
            content_type=mime_type,
            meta={"sha256": send.checksum or ""},
        )
        return _Final(exchange, self._store, session, self._sessions)

    async def _temporary(self, send: Send) -> Sink:
        key = f"chunks/{send.upload_uuid}/{send.index}-{self._world.token_hex(8)}"
        exchange = await self._store.open_put(key, send.size_bytes, payload_sha256=send.checksum)
        return _Streamed(exchange, f"{SourceKind.TEMPORARY}:{key}", lambda: self._store.delete(key))

    async def _part(self, send: Send, opened: Opened, mime_type: str | None) -> Sink:
        session, number = opened.session, part_number(send, opened) or 0
        # The object gets the type that is known here; what is served is the type in the file's row.
        upload_id = session.storage_upload_id or await self._upload_id(session, mime_type)
        exchange = await self._store.open_part(
            session.storage_key, upload_id, number, send.size_bytes, payload_sha256=send.checksum
        )
        return _Part(exchange, number, lambda: self._lost(session.id, upload_id))

    async def _lost(self, session_id: int, upload_id: str) -> Fault:
        """The store has no such upload: what to tell the sender."""
        state = await self._sessions.store_upload_lost(session_id, upload_id, errors.BYTES_GONE)
        # Not failed: no part was accepted yet, so the next one opens another; or the upload has ended.
        return errors.failed(errors.BYTES_GONE) if state is State.FAILED else errors.send_again()

    async def _upload_id(self, session: Session, mime_type: str | None) -> str:
        """Open the store's multipart upload, once even when several first chunks arrive together; whoever of
        their senders leaves, it is opened for the others."""
        opening = self._opening.get(session.id)
        if opening is None:
            opening = asyncio.create_task(self._open_upload(session, mime_type))
            self._opening[session.id] = opening
            opening.add_done_callback(partial(self._opened, session.id))
        return await asyncio.shield(opening)

    def _opened(self, session_id: int, opening: asyncio.Task[str]) -> None:
        del self._opening[session_id]
        if not opening.cancelled():
            opening.exception()  # looked at, also when nobody waits any more

    async def _open_upload(self, session: Session, mime_type: str | None) -> str:
        fresh = await self._store.create_multipart(session.storage_key, content_type=mime_type)
        saved = await self._sessions.save_store_upload(session.id, fresh)
        if saved != fresh:
            with suppress(StoreError):
                await self._store.abort_multipart(session.storage_key, fresh)
        if saved is None:
            raise errors.aborted()
        return saved

    async def remove(self, sources: Sequence[Source]) -> None:
        keys = [source.place for source in sources if source.kind is SourceKind.TEMPORARY]
        for at in range(0, len(keys), MOST_DELETED):
            with suppress(StoreError):
                await self._store.delete_many(keys[at : at + MOST_DELETED])
