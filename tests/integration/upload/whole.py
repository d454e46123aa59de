"""Files in one request, as the tests of this folder send them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any
from uuid import UUID

from services.kit.db import Statement
from services.kit.s3 import NoSuchUploadError, NotFoundError
from services.upload.model import Method, State
from services.upload.service.arrival import FileWanted
from tests.integration.upload.conftest import Bench, body

MODES = ("streamed", "spooled", "buffered")
_ROWS = Statement("test_rows", "SELECT * FROM upload_sessions WHERE user_id = $1 ORDER BY id")


def wanted(
    bench: Bench,
    data: bytes,
    *,
    known: bool = True,
    checksum: bool = False,
    key: str | None = None,
    name: str = "file.bin",
) -> FileWanted:
    """``known``: the request says the length, as a raw one does and a form does not."""
    promised = sha256(data).hexdigest() if checksum else None
    return FileWanted(bench.user_id, Method.FILE, name, len(data) if known else None, promised, key)


async def send(
    bench: Bench,
    data: bytes,
    mode: str = "streamed",
    *,
    pieces: AsyncIterator[bytes] | None = None,
    **given: Any,
) -> UUID:
    """The id of the file that this made."""
    arriving = body(data) if pieces is None else pieces
    made = await bench.services.one_file.upload(wanted(bench, data, **given), mode, arriving)
    uuid: UUID = made["upload_uuid"]
    return uuid


async def rows(bench: Bench) -> list[Any]:
    """The user's uploads, oldest first."""
    return list(await bench.database.rows(_ROWS, bench.user_id))


async def nothing_stays(bench: Bench) -> None:
    """No object, no part, no file, no spooled byte; the one upload has ended and will be looked at again."""
    (row,) = await rows(bench)
    assert row["status"] == State.ABORTED
    assert row["ended_at"] is not None
    assert row["clean_after"] is not None
    assert row["idempotency_key"] is None
    left_bytes = await stored_bytes(bench, row["storage_key"])
    # Some stores keep the beginning of a body that broke off, after all was removed; the next look is for it.
    assert left_bytes is None or left_bytes < row["file_size_bytes"]
    if row["storage_upload_id"] is not None:
        assert not await parts_of(bench, row["storage_key"], row["storage_upload_id"])
    assert bench.registry.rows == {}
    assert await bench.base.spool.files() == []


async def stored_bytes(bench: Bench, key: str) -> int | None:
    """The size of an object; None: there is none."""
    try:
        return (await bench.store.head(key)).size_bytes
    except NotFoundError:
        return None


async def parts_of(bench: Bench, key: str, upload_id: str) -> bool:
    """Whether the store still knows this multipart upload."""
    try:
        await bench.store.list_parts(key, upload_id)
    except NoSuchUploadError:
        return False
    return True
