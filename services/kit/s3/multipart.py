"""Operations on multipart uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.kit.s3 import xml
from services.kit.s3.core import Core, object_headers
from services.kit.s3.errors import NoSuchUploadError, StoreError
from services.kit.s3.model import ByteRange, OpenUpload, Part, Stored
from services.kit.s3.put import StreamedPut
from services.kit.s3.signing import copy_source
from services.kit.s3.transport import SLOW_READ_S


def part_query(upload_id: str, number: int) -> dict[str, str]:
    return {"partNumber": str(number), "uploadId": upload_id}


class MultipartOperations(Core):
    """What an upload in parts takes."""

    async def create_multipart(
        self, key: str, *, content_type: str | None = None, meta: Mapping[str, str] | None = None
    ) -> str:
        """Open a multipart upload; its id."""
        op = "create_multipart"
        headers = object_headers(content_type, meta)
        answer = await self._call(op, "POST", key, query={"uploads": ""}, headers=headers)
        return xml.upload_id(op, answer.body)

    async def open_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        size_bytes: int,
        *,
        payload_sha256: str | None = None,
    ) -> StreamedPut:
        """Start sending part ``number`` (1 to 10,000) of a multipart upload."""

        async def gone() -> StoreError | None:
            try:
                await self._parts_page(key, upload_id, after=0, limit=1)
            except NoSuchUploadError as error:
                return error
            return None

        query = part_query(upload_id, number)
        return await self._stream("upload_part", key, size_bytes, payload_sha256, query=query, refusal=gone)

    async def put_part_bytes(self, key: str, upload_id: str, number: int, body: bytes) -> Stored:
        """A part of bytes in memory, hash signed."""
        answer = await self._call("upload_part", "PUT", key, query=part_query(upload_id, number), body=body)
        return Stored(answer.headers.get("ETag", ""))

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
        op = "upload_part_copy"
        headers = {"x-amz-copy-source": copy_source(self._signer.bucket, source_key)}
        if byte_range is not None:
            headers["x-amz-copy-source-range"] = str(byte_range)
        if source_etag is not None:
            headers["x-amz-copy-source-if-match"] = source_etag
        query = part_query(upload_id, number)
        answer = await self._call(op, "PUT", key, query=query, headers=headers, read_s=SLOW_READ_S)
        return Stored(xml.etag_of(op, answer.body, "CopyPartResult"))

    async def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """Every part, ascending, over as many pages as it takes.

        Raises:
            NoSuchUploadError: aborted, completed or never opened.
        """
        parts, marker = list[Part](), 0
        while True:
            page = await self._parts_page(key, upload_id, after=marker, limit=1000)
            parts += page.parts
            if page.next_marker is None or page.next_marker <= marker:
                return parts
            marker = page.next_marker

    async def _parts_page(self, key: str, upload_id: str, *, after: int, limit: int) -> xml.PartsPage:
        op, query = "list_parts", {"uploadId": upload_id, "max-parts": str(limit)}
        query["part-number-marker"] = str(after)
        return xml.parts_page(op, (await self._call(op, "GET", key, query=query)).body)

    async def list_uploads(self, key: str = "") -> list[OpenUpload]:
        """The open multipart uploads of exactly this key; without one, those of the whole bucket.

        MinIO lists the whole bucket from memory: only what was opened since it was started is there.
        """
        op, uploads, marker = "list_uploads", list[OpenUpload](), ("", "")
        while True:
            query = {"uploads": "", "prefix": key, "max-uploads": "1000"}
            if marker[0]:
                query |= {"key-marker": marker[0], "upload-id-marker": marker[1]}
            page = xml.uploads_page(op, (await self._call(op, "GET", "", query=query)).body)
            uploads += [upload for upload in page.uploads if not key or upload.key == key]
            if page.next_marker is None or page.next_marker == marker:
                return uploads
            marker = page.next_marker

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[Part], *, if_match: str | None = None
    ) -> Stored:
        """Join ``parts`` (ascending; gaps between numbers are fine). A 200 with an error in it raises.

        Args:
            if_match: ETag of the object that may be replaced, in a store that heeds it.

        Raises:
            PreconditionFailedError, NotFoundError: another or no object is there; the upload stays open.
            InvalidPartError: a part differs or is too small; the upload stays open.
            NoSuchUploadError: also after a completion whose answer got lost: ``head`` tells.
        """
        op, body = "complete_multipart", xml.complete_request(parts)
        headers = object_headers(None, None, if_match=if_match)
        answer = await self._call(
            op, "POST", key, query={"uploadId": upload_id}, headers=headers, body=body, read_s=SLOW_READ_S
        )
        return Stored(xml.etag_of(op, answer.body, "CompleteMultipartUploadResult"))

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Also fine when there is no such upload."""
        try:
            await self._call("abort_multipart", "DELETE", key, query={"uploadId": upload_id})
        except NoSuchUploadError:
            return
