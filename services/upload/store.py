"""The object store at start: bucket, self-test, health."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from structlog.typing import FilteringBoundLogger

from services.kit.health import Check, NotOkError
from services.kit.origins import ORIGINS
from services.kit.s3 import (
    Capabilities,
    S3Address,
    S3Client,
    StoreError,
    allow_origins,
    clock_note,
    is_private,
    prepare_bucket,
    self_test,
)

START_ATTEMPTS = 30
START_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class BucketState:
    """``private``: no policy lets strangers in. ``cors``: who lets browsers in, ``bucket`` or ``server``."""

    private: bool
    cors: str


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What was found out at start."""

    bucket: BucketState
    capabilities: Capabilities

    def shown(self) -> dict[str, Any]:
        """For ``/health/detailed``."""
        return {"bucket": asdict(self.bucket), "store": asdict(self.capabilities)}


async def prepare(
    address: S3Address,
    client: S3Client,
    origins: Sequence[str],
    test_name: str,
    log: FilteringBoundLogger,
) -> StoreFacts:
    """Bucket, browsers and self-test; waits half a minute for a store that is still starting.

    Args:
        origins: of browsers, besides those that are always allowed.

    Raises:
        ConnectionError: the store did not answer in that time.
    """
    for attempt in range(START_ATTEMPTS):
        try:
            await prepare_bucket(address)
            cors = await allow_origins(client, (*ORIGINS, *origins))
            bucket = BucketState(await is_private(client), cors)
            return StoreFacts(bucket, await self_test(client, test_name))
        except StoreError as error:
            log.warning("store not ready", attempt=attempt, reason=error.code)
        await asyncio.sleep(START_PAUSE_S)
    raise ConnectionError("the object store does not answer")


def health_check(client: S3Client, facts: StoreFacts) -> Check:
    async def check() -> str | None:
        if not facts.bucket.private:
            raise NotOkError("the bucket can be read by strangers")
        try:
            return clock_note(await client.check())
        except StoreError as error:
            raise NotOkError(f"the object store does not answer for the bucket ({error.code})") from error

    return check
