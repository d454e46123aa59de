"""One PUT to the final key of a file, whose upload nobody else sends to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from services.kit.errors import unavailable
from services.kit.s3 import (
    ChecksumMismatchError,
    PreconditionFailedError,
    S3Client,
    Stored,
    StoreError,
    StreamedPut,
)
from services.kit.s3.retry import Retry
from services.upload import errors
from services.upload.body_modes.sink import Incoming, Kept
from services.upload.model import Session

Read = Callable[[], AsyncGenerator[bytes, None]]


async def stored_before(store: S3Client, session: Session, checksum: str) -> Kept:
    """What is at the key was put there by an attempt of ours before this one, if it has this hash.

    Raises:
        Fault: it was not, or the store does not say.
    """
    try:
        found = await store.head(session.storage_key)
    except StoreError as error:
        raise unavailable("object store") from error
    if found.meta.get("sha256") != checksum:
        raise errors.send_again("The file could not be placed. Please send it again.")
    return Kept(found.etag)


async def open_put(store: S3Client, incoming: Incoming, size_bytes: int, checksum: str | None) -> StreamedPut:
    """Raises StoreError; with ``checksum`` the store verifies the body."""
    return await store.open_put(
        incoming.session.storage_key,
        size_bytes,
        payload_sha256=checksum,
        if_none_match=True,
        content_type=incoming.mime_type,
        meta={"sha256": checksum} if checksum else None,
    )


class PutSink:
    """Straight into the store while it is received. A promised checksum is what the store verifies; without
    one it knows the length only, and the hash is ours."""

    def __init__(self, store: S3Client, incoming: Incoming, exchange: StreamedPut, size_bytes: int) -> None:
        self._store, self._incoming, self._exchange = store, incoming, exchange
        self._left_bytes = size_bytes
        self.drained = exchange.drained

    @property
    def full(self) -> bool:
        return self._exchange.full

    async def write(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        await self._exchange.write(data)

    async def finish(self, checksum: str) -> Kept:
        try:
            return Kept((await self._exchange.finish()).etag)
        except PreconditionFailedError:
            return await stored_before(self._store, self._incoming.session, checksum)
        except ChecksumMismatchError as error:
            raise errors.checksum_mismatch() from error
        except StoreError as error:
            raise unavailable("object store") from error

    async def abort(self) -> None:
        if self._left_bytes > 0:  # the store sees a short body and keeps nothing
            await self._exchange.abort()
            return
        with suppress(StoreError):  # it may be about to keep it: what it says is waited for
            await self._exchange.finish()
        await self._exchange.abort()
        with suppress(StoreError):
            await self._store.delete(self._incoming.session.storage_key)


async def sent(exchange: StreamedPut, read: Read) -> Stored:
    """The answer to a body that we hold. Raises StoreError."""
    try:
        async with aclosing(read()) as pieces:
            async for data in pieces:
                await exchange.write(data)
                if exchange.full:
                    await exchange.drained()
        return await exchange.finish()
    finally:
        await exchange.abort()


async def put_held(
    store: S3Client, incoming: Incoming, size_bytes: int, checksum: str, *, read: Read, retry: Retry
) -> Kept:
    """PUT of a body that we hold, its hash verified by the store; sent again when the store was away.

    Args:
        read: gives the whole body, from its beginning each time.

    Raises:
        Fault: it is not stored.
    """

    async def attempt() -> Kept:
        exchange = await open_put(store, incoming, size_bytes, checksum)
        return Kept((await sent(exchange, read)).etag)

    try:
        return await retry(attempt)
    except PreconditionFailedError:
        return await stored_before(store, incoming.session, checksum)
    except StoreError as error:
        raise unavailable("object store") from error
