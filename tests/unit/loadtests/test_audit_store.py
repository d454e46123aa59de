"""Which multipart uploads the store really keeps open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from minio import Minio
from minio.error import S3Error

from loadtests.harness.ledger.evidence import OpenMultipart
from loadtests.harness.ledger.store import AuditStore

pytestmark = pytest.mark.unit


class Store:
    """Lists two uploads; of one only its memory is left."""

    def _list_multipart_uploads(self, *_: Any, **__: Any) -> Any:
        uploads = [
            SimpleNamespace(object_name=f"users/u/{name}", upload_id=name) for name in ("open", "gone")
        ]
        return SimpleNamespace(uploads=uploads, is_truncated=False)

    def _list_parts(self, _: str, key: str, upload_id: str) -> Any:
        if upload_id == "gone":
            raise S3Error(Mock(), "NoSuchUpload", None, key, None, None)
        return SimpleNamespace(parts=[SimpleNamespace(size=5), SimpleNamespace(size=7)])


@pytest.fixture
def store() -> Iterator[AuditStore]:
    with closing(AuditStore(cast(Minio, Store()), "bucket")) as one:
        yield one


async def test_an_upload_that_is_only_listed_is_not_open(store: AuditStore) -> None:
    assert await store.multiparts([]) == (OpenMultipart("users/u/open", "open", 12),)
