"""The S3 client: objects, presigned URLs, and how to open it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from services.kit.clock import World
from services.kit.s3 import xml
from services.kit.s3.core import object_headers
from services.kit.s3.download import OP, Download, object_info
from services.kit.s3.errors import NotFoundError, RefusedError, StoreError, typed
from services.kit.s3.model import ByteRange, ObjectEntry, ObjectInfo, Stored
from services.kit.s3.multipart import MultipartOperations, part_query
from services.kit.s3.put import StreamedPut
from services.kit.s3.retry import Retry
from services.kit.s3.signing import S3Address, Signer, copy_source
from services.kit.s3.store_clock import ahead_s
from services.kit.s3.transport import SLOW_READ_S, Connections, Observe, Transport

MOST_DELETED = 1000


def _md5_headers(body: bytes) -> dict[str, str]:
    """Two operations on the bucket insist on this digest; it protects nothing here."""
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"Content-MD5": base64.b64encode(digest).decode(), "Content-Type": "application/xml"}


class S3Client(MultipartOperations):
    """One bucket. ``key`` is an object key; ``payload_sha256`` 64 lower-case hex characters.

    With ``payload_sha256`` the store checks the body against it and refuses a difference with
    ``ChecksumMismatchError``; without it only the length is checked.

    Every operation raises ``StoreError`` (see ``errors``) and nothing else. What needs no body, or holds
    its body (``put_bytes``), is retried on ``UnavailableError`` up to 3 times in all; a streamed body
    cannot be sent again, so a failure of it is final.
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
    ) -> StreamedPut:
        """Start a PUT of exactly ``size_bytes``; ``if_none_match`` refuses to replace an object (412)."""
        op, headers = "put_object", object_headers(content_type, meta, if_none_match=if_none_match)

        async def taken() -> StoreError | None:
            try:
                await self.head(key)
            except NotFoundError:
                return None
            return typed(op, 412, "PreconditionFailed")

        refusal = taken if if_none_match else None
        return await self._stream(op, key, size_bytes, payload_sha256, headers=headers, refusal=refusal)

    async def put_bytes(
        self,
        key: str,
        body: bytes,
        *,
        if_none_match: bool = False,
        if_match: str | None = None,
        content_type: str | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> Stored:
        """PUT of bytes in memory, hash signed.

        ``if_match`` is the ETag of the object that may be replaced, in a store that heeds it: another one
        is refused (412), none at all too (404).
        """
        headers = object_headers(content_type, meta, if_none_match=if_none_match, if_match=if_match)
        answer = await self._call("put_object", "PUT", key, headers=headers, body=body)
        return Stored(answer.headers.get("ETag", ""))

    async def open_get(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> Download:
        """Open a GET whose bytes go to a client, at its pace; the caller closes it.

        Raises:
            NotFoundError, PreconditionFailedError, RangeError: see ``errors``.
        """
        return await self._open(key, byte_range, if_match, for_client=True)

    @asynccontextmanager
    async def get(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> AsyncIterator[Download]:
        """``open_get`` for a block that reads it at our own pace."""
        download = await self._open(key, byte_range, if_match, for_client=False)
        try:
            yield download
        finally:
            download.close()

    async def _open(
        self, key: str, byte_range: ByteRange | None, if_match: str | None, *, for_client: bool
    ) -> Download:
        headers = {}
        if byte_range is not None:
            headers["Range"] = str(byte_range)
        if if_match is not None:
            headers["If-Match"] = if_match

        async def attempt() -> Download:
            signed = self._signer.sign("GET", key, headers=headers)
            return Download(await self._transport.open(OP, signed, for_client=for_client))

        return await self._retry(attempt)

    async def head(self, key: str) -> ObjectInfo:
        """Raises NotFoundError when there is none."""
        answer = await self._call("head_object", "HEAD", key)
        return object_info(answer.headers)

    async def delete(self, key: str) -> None:
        """Also fine when there is no such object."""
        try:
            await self._call("delete_object", "DELETE", key)
        except NotFoundError:
            return

    async def delete_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete up to ``MOST_DELETED`` objects; the keys that failed, each with the store's error code."""
        if not keys:
            return {}
        op, body = "delete_objects", xml.delete_request(keys)
        answer = await self._call(op, "POST", "", query={"delete": ""}, headers=_md5_headers(body), body=body)
        return xml.failed_keys(op, answer.body)

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
        op, headers = "copy_object", object_headers(content_type, meta)
        headers["x-amz-metadata-directive"] = "REPLACE" if headers else "COPY"
        headers["x-amz-copy-source"] = copy_source(self._signer.bucket, source_key)
        if source_etag is not None:
            headers["x-amz-copy-source-if-match"] = source_etag
        answer = await self._call(op, "PUT", key, headers=headers, read_s=SLOW_READ_S)
        return Stored(xml.etag_of(op, answer.body, "CopyObjectResult"))

    def presign_put(self, key: str, life_s: int) -> str:
        """A URL, for the public endpoint, that takes one PUT; signed here, no request."""
        return self._signer.presign("PUT", key, life_s)

    def presign_part(self, key: str, upload_id: str, number: int, size_bytes: int, life_s: int) -> str:
        """A URL that takes part ``number``, of exactly ``size_bytes``."""
        query = part_query(upload_id, number)
        return self._signer.presign("PUT", key, life_s, query=query, size_bytes=size_bytes)

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
        query = {}
        if disposition is not None:
            query["response-content-disposition"] = disposition
        if content_type is not None:
            query["response-content-type"] = content_type
        return self._signer.presign("GET", key, life_s, query=query, signed_at=signed_at)

    async def list_objects(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectEntry]:
        """Objects whose key starts with ``prefix`` and sorts behind ``after``, at most 1,000."""
        op = "list_objects"
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(limit)}
        if after:
            query["start-after"] = after
        answer = await self._call(op, "GET", "", query=query)
        return xml.objects(op, answer.body)

    async def put_bucket_cors(self, origins: Sequence[str]) -> bool:
        """Let browsers of ``origins`` GET and PUT; False when the store does not let this key do that."""
        body = xml.cors_request(origins, methods=("GET", "HEAD", "PUT"))
        try:
            await self._call(
                "put_bucket_cors", "PUT", "", query={"cors": ""}, headers=_md5_headers(body), body=body
            )
        except RefusedError as error:
            if error.code in {"NotImplemented", "AccessDenied"}:
                return False
            raise
        return True

    async def bucket_policy(self) -> bytes:
        """As the store has it: JSON."""
        answer = await self._call("get_bucket_policy", "GET", "", query={"policy": ""})
        return answer.body

    async def now(self) -> datetime:
        """The store's time, rounded up to the second; ours when it does not tell. What is compared with
        times that the store gives is measured on one clock."""
        answer = await self._call("head_bucket", "HEAD", "")
        ours = self._signer.now()
        return datetime.fromtimestamp(ours + ahead_s(answer.headers.get("Date"), ours) + 1, UTC)

    async def check(self) -> float:
        """How many seconds the store's clock is ahead of ours, to the second; 0 when it does not tell.

        Raises unless the store answers for the bucket.
        """
        answer = await self._call("head_bucket", "HEAD", "")
        return ahead_s(answer.headers.get("Date"), self._signer.now())


@asynccontextmanager
async def open_client(
    address: S3Address,
    world: World,
    observe: Observe,
    *,
    opened: Callable[[], None] = lambda: None,
) -> AsyncIterator[S3Client]:
    """A client with its own connections, closed when the block ends.

    Args:
        observe: called once per request with operation, result and seconds.
        opened: called for each new connection.
    """
    connections = Connections.to(address.endpoint, opened)
    try:
        yield S3Client(Signer(address, world.now), Transport(connections, observe), Retry(world.rng))
    finally:
        await connections.close()
