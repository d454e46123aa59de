"""The S3 client: objects, presigned URLs, and how to open it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from services.kit.clock import World
from services.kit.http.client import Address
from services.kit.http.clients import DEFAULT, open_http
from services.kit.s3 import xml
from services.kit.s3.core import object_headers
from services.kit.s3.download import StreamedDownload, object_info
from services.kit.s3.errors import NotFoundError, RefusedError
from services.kit.s3.exchange import StreamedPut
from services.kit.s3.model import ByteRange, Download, ObjectEntry, ObjectInfo, Stored
from services.kit.s3.multipart import MultipartOperations, part_query
from services.kit.s3.retry import Retry
from services.kit.s3.signing import S3Address, Signer, copy_source
from services.kit.s3.store_clock import ahead_s
from services.kit.s3.transport import CONNECTIONS, IDLE_S, SLOW_READ_S, Observe, Transport


def _md5_headers(body: bytes) -> dict[str, str]:
    """Two operations on the bucket insist on this digest; it protects nothing here."""
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"Content-MD5": base64.b64encode(digest).decode(), "Content-Type": "application/xml"}


class S3Client(MultipartOperations):
    """See ``protocol.ObjectStore`` for what each operation promises."""

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
        headers = object_headers(content_type, meta, if_none_match=if_none_match)
        return await self._stream("put_object", key, size_bytes, payload_sha256, headers=headers)

    async def put_bytes(
        self,
        key: str,
        body: bytes,
        *,
        if_none_match: bool = False,
        content_type: str | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> Stored:
        headers = object_headers(content_type, meta, if_none_match=if_none_match)
        answer = await self._call("put_object", "PUT", key, headers=headers, body=body)
        return Stored(answer.headers.get("ETag", ""))

    @asynccontextmanager
    async def get(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> AsyncIterator[Download]:
        headers = {}
        if byte_range is not None:
            headers["Range"] = str(byte_range)
        if if_match is not None:
            headers["If-Match"] = if_match

        async def attempt() -> StreamedDownload:
            signed = self._signer.sign("GET", key, headers=headers)
            return await StreamedDownload.open(self._transport, signed)

        download = await self._retry(attempt)
        try:
            yield download
        finally:
            await download.close()

    async def head(self, key: str) -> ObjectInfo:
        answer = await self._call("head_object", "HEAD", key)
        return object_info(answer.headers)

    async def delete(self, key: str) -> None:
        try:
            await self._call("delete_object", "DELETE", key)
        except NotFoundError:
            return

    async def delete_many(self, keys: Sequence[str]) -> dict[str, str]:
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
        op, headers = "copy_object", object_headers(content_type, meta)
        headers["x-amz-metadata-directive"] = "REPLACE" if headers else "COPY"
        headers["x-amz-copy-source"] = copy_source(self._signer.bucket, source_key)
        if source_etag is not None:
            headers["x-amz-copy-source-if-match"] = source_etag
        answer = await self._call(op, "PUT", key, headers=headers, read_s=SLOW_READ_S)
        return Stored(xml.etag_of(op, answer.body, "CopyObjectResult"))

    def presign_put(self, key: str, life_s: int) -> str:
        return self._signer.presign("PUT", key, life_s)

    def presign_part(self, key: str, upload_id: str, number: int, size_bytes: int, life_s: int) -> str:
        query, length = part_query(upload_id, number), {"content-length": str(size_bytes)}
        return self._signer.presign("PUT", key, life_s, query, headers=length)

    def presign_get(
        self,
        key: str,
        life_s: int,
        *,
        disposition: str | None = None,
        content_type: str | None = None,
        signed_at: float | None = None,
    ) -> str:
        query = {}
        if disposition is not None:
            query["response-content-disposition"] = disposition
        if content_type is not None:
            query["response-content-type"] = content_type
        return self._signer.presign("GET", key, life_s, query, signed_at=signed_at)

    async def list_objects(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectEntry]:
        op = "list_objects"
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(limit)}
        if after:
            query["start-after"] = after
        answer = await self._call(op, "GET", "", query=query)
        return xml.objects(op, answer.body)

    async def put_bucket_cors(self, origins: Sequence[str]) -> bool:
        body = xml.cors_request(origins, methods=("GET", "HEAD", "PUT"))
        try:
            await self._call(
                "put_bucket_cors", "PUT", "", query={"cors": ""}, headers=_md5_headers(body), body=body
            )
        except RefusedError as error:
            if error.code == "NotImplemented":
                return False
            raise
        return True

    async def check(self) -> float:
        answer = await self._call("head_bucket", "HEAD", "")
        return ahead_s(answer.headers.get("Date"), self._signer.now())


@asynccontextmanager
async def open_client(
    address: S3Address,
    world: World,
    observe: Observe,
    *,
    client: str = DEFAULT,
    opened: Callable[[], None] = lambda: None,
) -> AsyncIterator[S3Client]:
    """A client with its own connections, closed when the block ends.

    Args:
        observe: called once per request with operation, result and seconds.
        client: ``thin`` or ``aiohttp``, see ``http.clients``.
        opened: called for each new connection.
    """
    place = Address.of(address.endpoint, limit=CONNECTIONS, idle_s=IDLE_S, opened=opened, refusals_end=True)
    http = open_http(client, place)
    try:
        yield S3Client(Signer(address, world.now), Transport(http, observe), Retry(world.rng))
    finally:
        await http.close()
