"""The store as the services see it; ``client.S3Client`` is the implementation.

Every method raises ``StoreError`` (see ``errors``) and nothing else. What needs no body, or holds its
body (``put_bytes``), is retried on ``UnavailableError`` up to 3 times in all; a streamed body cannot be
sent again, so a failure of an exchange is final.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.kit.s3.model import ByteRange, Download, ObjectEntry, ObjectInfo, Part, Stored


class PutExchange(Protocol):
    """A body on its way into the store.

    The loop of a caller: ``write`` each piece, ``await drained()`` when ``full``, ``await finish()``
    at the end; ``abort`` on any exception. A store that answers before the end (412) sets ``answered``:
    further writes do nothing, so the caller may go on receiving and hashing, and ``finish`` raises.
    """

    @property
    def full(self) -> bool:
        """More than 64 KiB wait: await ``drained`` before the next write."""

    @property
    def answered(self) -> bool:
        """The store answered or the connection broke; nothing more is sent."""

    async def write(self, data: bytes) -> None:
        """Queue ``data`` for sending; never waits, never raises. Bytes beyond the size are a ValueError."""

    async def drained(self) -> None:
        """Wait until the store took enough; never raises. A store that stalls breaks the exchange."""

    async def finish(self) -> Stored:
        """Wait for the answer. A body shorter than declared stores nothing and is a ValueError."""

    async def abort(self) -> None:
        """Break off: the store sees a short body and keeps nothing. Idempotent, also after ``finish``."""


class ObjectStore(Protocol):
    """One bucket. ``key`` is an object key; ``payload_sha256`` 64 lower-case hex characters.

    With ``payload_sha256`` the store checks the body against it and refuses a difference with
    ``ChecksumMismatchError``; without it only the length is checked.
    """

    async def open_put(
        self,
        key: str,
        size_bytes: int,
        *,
        payload_sha256: str | None = None,
        if_none_match: bool = False,
        content_type: str | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> PutExchange:
        """Start a PUT of exactly ``size_bytes``; ``if_none_match`` refuses to replace an object (412)."""

    async def open_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        size_bytes: int,
        *,
        payload_sha256: str | None = None,
    ) -> PutExchange:
        """Start sending part ``number`` (1 to 10,000) of a multipart upload."""

    async def put_bytes(
        self,
        key: str,
        body: bytes,
        *,
        if_none_match: bool = False,
        content_type: str | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> Stored:
        """PUT of bytes in memory, hash signed."""

    async def put_part_bytes(self, key: str, upload_id: str, number: int, body: bytes) -> Stored:
        """A part of bytes in memory, hash signed."""

    def get(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> AbstractAsyncContextManager[Download]:
        """Open a GET: ``async with store.get(key) as download``.

        Raises (on entry): NotFoundError, PreconditionFailedError, RangeError.
        """

    async def head(self, key: str) -> ObjectInfo:
        """Raises NotFoundError when there is none."""

    async def delete(self, key: str) -> None:
        """Also fine when there is no such object."""

    async def delete_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete up to 1,000 objects; the keys that failed, each with the store's error code."""

    async def copy(
        self,
        source_key: str,
        key: str,
        *,
        source_etag: str | None = None,
        content_type: str | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> Stored:
        """Copy inside the store (at most 5 GiB).

        ``source_etag`` guards the source. With ``content_type`` or ``meta`` both replace the source's.
        """

    async def create_multipart(
        self, key: str, *, content_type: str | None = None, meta: Mapping[str, str] | None = None
    ) -> str:
        """Open a multipart upload; its id."""

    async def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source_key: str,
        *,
        byte_range: ByteRange | None = None,
        source_etag: str | None = None,
    ) -> Stored:
        """Part ``number`` from (a range of) another object."""

    async def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """Every part, ascending, over as many pages as it takes.

        Raises:
            NoSuchUploadError: aborted, completed or never opened.
        """

    async def complete_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> Stored:
        """Join ``parts`` (ascending; gaps between numbers are fine). A 200 with an error in it raises.

        Raises:
            InvalidPartError: a part differs or is too small; the upload stays open.
            NoSuchUploadError: also after a completion whose answer got lost: ``head`` tells.
        """

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Also fine when there is no such upload."""

    def presign_put(self, key: str, life_s: int) -> str:
        """A URL, for the public endpoint, that takes one PUT; signed here, no request."""

    def presign_part(self, key: str, upload_id: str, number: int, size_bytes: int, life_s: int) -> str:
        """A URL that takes one part of exactly ``size_bytes``; the store refuses any other length."""

    def presign_get(
        self,
        key: str,
        life_s: int,
        *,
        disposition: str | None = None,
        content_type: str | None = None,
        signed_at: float | None = None,
    ) -> str:
        """A URL to read the object; the answer's disposition and type as given.

        ``signed_at``, in seconds since the epoch, is now unless given; the URL ends ``life_s`` after its
        whole second.
        """

    async def list_objects(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectEntry]:
        """Objects whose key starts with ``prefix`` and sorts behind ``after``, at most 1,000."""

    async def put_bucket_cors(self, origins: Sequence[str]) -> bool:
        """Let browsers of ``origins`` GET and PUT; False when the store does not offer the call."""

    async def check(self) -> float:
        """How many seconds the store's clock is ahead of ours, to the second; 0 when it does not tell.

        Raises unless the store answers for the bucket.
        """
