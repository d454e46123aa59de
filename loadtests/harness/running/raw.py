"""The reference without a server: the same bytes put straight into the store by presigned URLs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from minio import Minio

from loadtests.harness.auditing.audit_raw import raw_key
from loadtests.harness.planning.payload import UploadRow

RAW_ARM = "raw-put"
URL_LIFETIME = timedelta(hours=1)


def presign(client: Minio, bucket: str, rows: Iterable[UploadRow]) -> dict[str, str]:
    """A URL for every row, by reference."""
    return {
        row.ref: client.presigned_put_object(bucket, raw_key(row.ref), expires=URL_LIFETIME) for row in rows
    }
