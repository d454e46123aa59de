"""The object store at start: the bucket, who lets browsers in, and what the store can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.kit.origins import ORIGINS
from services.kit.s3 import (
    Capabilities,
    S3Address,
    S3Client,
    StoreError,
    allow_origins,
    prepare_bucket,
    self_test,
)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What was found out at start. ``cors``: who lets browsers in, ``bucket`` or ``server``."""

    cors: str
    capabilities: Capabilities

    def shown(self) -> dict[str, Any]:
        """For ``/health/detailed``."""
        return {"bucket": {"cors": self.cors}, "store": asdict(self.capabilities)}


async def prepare(address: S3Address, client: S3Client, origins: Sequence[str], test_name: str) -> StoreFacts:
    """Bucket, browsers and self-test; waits half a minute for a store that is still starting.

    Args:
        origins: of browsers, besides those that are always allowed.

    Raises:
        ConnectionError: the store stays away or refuses; it ends the start with one line.
    """
    try:
        await prepare_bucket(address)
        cors = await allow_origins(client, (*ORIGINS, *origins))
        return StoreFacts(cors, await self_test(client, test_name))
    except StoreError as error:
        raise ConnectionError(f"the object store cannot be used ({error.code})") from error
