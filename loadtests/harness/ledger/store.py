"""What the audit asks the object store: lists, contents and open multipart uploads, in few requests.

The client library blocks, so everything runs in a few threads. Four calls are the library's
underscored ones: it has no public form for the requests that they make.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from loadtests.harness.ledger.evidence import OpenMultipart, StoredObject

FILES_PREFIX = "users/"
TEMPORARY_PREFIX = "chunks/"
THREADS = 8
DELETE_BATCH = 500
READ_BYTES = 1024 * 1024
_GONE = frozenset({"NoSuchKey", "NoSuchUpload"})
# An extension of MinIO: a DELETE with it takes away everything below a folder, and the bytes leave the disk
# at once. What is deleted object by object goes into a trash that is emptied minutes later, beside a load
# that has nothing to do with it.
WHOLE_FOLDER = {"x-minio-force-delete": "true"}

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class StoreError(Exception):
    """The store refused what cleaning or the audit asked for."""


class AuditStore:
    """One bucket, seen by the harness. Close it to end its threads."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="audit-store")

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def objects(self, prefix: str) -> tuple[StoredObject, ...]:
        """Everything under a prefix: one request for each 1,000 objects."""
        return (await self._map(self._list, [prefix]))[0]

    async def hashes(self, keys: Sequence[str]) -> dict[str, str]:
        """SHA-256 of each object, read back whole in pieces; empty for one that is gone."""
        return dict(zip(keys, await self._map(self._hash, keys), strict=True))

    async def multiparts(self, suspects: Iterable[str]) -> tuple[OpenMultipart, ...]:
        """Open multipart uploads: of the bucket's own list, and of each suspect key.

        Some stores list them by exact key only, some leave out what was opened before a restart. MinIO goes
        on listing one whose completing request was cut off after it was carried out: its parts tell.
        """
        found = await self._map(self._list_multiparts, ["", *sorted(set(suspects))])
        return tuple({(one.key, one.upload_id): one for some in found for one in some}.values())

    async def abort(self, uploads: Iterable[tuple[str, str]]) -> None:
        """Abort (key, upload id); one that is gone already is no error."""
        await self._map(self._abort, list(uploads))

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete objects in batches; raises ``StoreError`` naming the first that stays."""
        batches = [keys[at : at + DELETE_BATCH] for at in range(0, len(keys), DELETE_BATCH)]
        failed = [error for errors in await self._map(self._remove, batches) for error in errors]
        if failed:
            raise StoreError(f"{len(failed)} objects could not be deleted, the first: {failed[0]}")

    async def purge(self, folders: Iterable[str]) -> None:
        """Delete whole folders where the store can do it at once; another store leaves them as they are.

        Whoever needs them gone looks afterwards and removes what is left. Raises ``ValueError`` for
        anything that is not a folder: a shorter prefix would take other users' files along.
        """
        wanted = sorted(set(folders))
        if wrong := [folder for folder in wanted if not folder.endswith("/") or folder.startswith("/")]:
            raise ValueError(f"not a folder: {wrong[0]!r}")
        await self._map(self._purge, wanted)

    async def _map(self, call: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> list[ResultT]:
        loop = asyncio.get_running_loop()
        return list(
            await asyncio.gather(*(loop.run_in_executor(self._threads, call, item) for item in items))
        )

    def _list(self, prefix: str) -> tuple[StoredObject, ...]:
        found = self._client.list_objects(self._bucket, prefix, recursive=True)
        return tuple(
            StoredObject(item.object_name or "", item.size or 0, (item.etag or "").strip('"'))
            for item in found
        )

    def _hash(self, key: str) -> str:
        digest = sha256()
        try:
            response = self._client.get_object(self._bucket, key)
        except S3Error as error:
            if error.code in _GONE:
                return ""
            raise
        try:
            for piece in response.stream(READ_BYTES):
                digest.update(piece)
        finally:
            response.close()
            response.release_conn()
        return digest.hexdigest()

    def _list_multiparts(self, prefix: str) -> tuple[OpenMultipart, ...]:
        found: list[OpenMultipart] = []
        marker: tuple[str | None, str | None] = (None, None)
        while True:
            page = self._client._list_multipart_uploads(
                self._bucket, prefix=prefix, key_marker=marker[0], upload_id_marker=marker[1]
            )
            for upload in page.uploads:
                key, upload_id = upload.object_name, upload.upload_id or ""
                size_bytes = self._part_bytes(key, upload_id)
                if size_bytes is not None:
                    found.append(OpenMultipart(key, upload_id, size_bytes))
            if not page.is_truncated:
                return tuple(found)
            marker = (page.next_key_marker, page.next_upload_id_marker)

    def _part_bytes(self, key: str, upload_id: str) -> int | None:
        """None: there is no such upload."""
        try:
            listed = self._client._list_parts(self._bucket, key, upload_id)
        except S3Error as error:
            if error.code in _GONE:
                return None
            raise
        return sum(part.size or 0 for part in listed.parts)

    def _abort(self, upload: tuple[str, str]) -> None:
        key, upload_id = upload
        try:
            self._client._abort_multipart_upload(self._bucket, key, upload_id)
        except S3Error as error:
            if error.code not in _GONE:
                raise

    def _purge(self, folder: str) -> None:
        with contextlib.suppress(S3Error):  # refused or not known: removed object by object instead
            self._client._execute("DELETE", self._bucket, folder, headers=dict(WHOLE_FOLDER))

    def _remove(self, keys: Sequence[str]) -> list[str]:
        errors = self._client.remove_objects(self._bucket, [DeleteObject(key) for key in keys])
        return [f"{error.name}: {error.message}" for error in errors if error.code not in _GONE]
