"""Sessions and sends for rules that need no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.upload.model import ChunkOutcome, Method, Opened, Send, Session, State

MIB = 1024 * 1024
UPLOAD, USER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

SESSION = Session(
    id=1,
    upload_uuid=UPLOAD,
    user_id=USER,
    method=Method.PROXY,
    status=State.PENDING,
    file_name="a.bin",
    mime_type=None,
    file_size_bytes=12 * MIB,
    part_size_bytes=None,
    last_part_bytes=None,
    total_chunks=3,
    received_bytes=0,
    max_chunk_index=-1,
    storage_key=f"users/{USER}/{UPLOAD}",
    storage_upload_id=None,
    etag=None,
    finalise_mode="inline",
    error_code=None,
    error_message=None,
    created_at=NOW,
    updated_at=NOW,
    expires_at=NOW,
    urls_expire_at=None,
    final_key_taken=False,
)


def session(**changes: Any) -> Session:
    return replace(SESSION, **changes)


def opened(
    *, stored: int | None = None, checksum: str | None = None, slot: int | None = None, **changes: Any
) -> Opened:
    return Opened(session(**changes), ChunkOutcome.STORED, stored, checksum, slot)


def send(index: int, size_bytes: int, checksum: str | None = None) -> Send:
    return Send(UPLOAD, USER, index, size_bytes, checksum)
