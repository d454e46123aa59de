"""Waits until the uploads of a load have come to rest, or shows that they have not.

An upload that a job or a finalising process drives may pause (back-off, a lease that must run out),
so it is given ``quiet_s`` without any change. An upload that only its client could drive will not move
once the load has ended; it is given ``abandoned_quiet_s``, for requests that are still being served.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

POLL_S = 0.25
QUIET_S = 10.0
ABANDONED_QUIET_S = 2.0

_OPEN = """
SELECT s.upload_uuid, s.status::text AS status, s.received_bytes, s.updated_at,
       s.lease_owner, s.job_step, s.job_attempts, s.job_due_at,
       s.status IN ('assembling', 'completing') OR (s.status = 'uploading' AND s.upload_method = 'proxy')
         OR s.job_due_at IS NOT NULL AS driven
FROM upload_sessions s
WHERE s.user_id = ANY($1::uuid[]) AND s.status IN ('pending', 'assembling', 'uploading', 'completing')
"""


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload that has not ended; ``state`` is all that changes when it moves."""

    upload_uuid: UUID
    driven: bool
    state: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """How settling ended. ``cut``: uploads still moved at the limit, they are ``progressing``."""

    waited_s: float
    cut: bool
    progressing: frozenset[UUID] = frozenset()


async def open_uploads(upload_db: asyncpg.Connection, users: Collection[UUID]) -> tuple[OpenUpload, ...]:
    rows = await upload_db.fetch(_OPEN, list(users))
    return tuple(OpenUpload(row["upload_uuid"], row["driven"], tuple(row.values())) for row in rows)


async def settle(
    look: Callable[[], Awaitable[Sequence[OpenUpload]]],
    *,
    limit_s: float,
    quiet_s: float = QUIET_S,
    abandoned_quiet_s: float = ABANDONED_QUIET_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Settled:
    """Poll ``look`` until no upload is open, none moved for the quiet time, or the limit is over."""
    start = clock()
    states: dict[UUID, tuple[Any, ...]] = {}
    moved_at: dict[UUID, float] = {}
    last_change = start
    while True:
        uploads = await look()
        now = clock()
        if not uploads:
            return Settled(now - start, cut=False)
        for upload in uploads:
            if states.get(upload.upload_uuid) != upload.state:
                moved_at[upload.upload_uuid] = last_change = now
        if len(uploads) < len(states):
            last_change = now
        states = {upload.upload_uuid: upload.state for upload in uploads}
        quiet = quiet_s if any(upload.driven for upload in uploads) else abandoned_quiet_s
        if now - last_change >= quiet:
            return Settled(now - start, cut=False)
        if now - start >= limit_s:
            moving = frozenset(
                upload.upload_uuid
                for upload in uploads
                if now - moved_at[upload.upload_uuid] < (quiet_s if upload.driven else abandoned_quiet_s)
            )
            return Settled(now - start, cut=True, progressing=moving)
        await sleep(POLL_S)
