"""The values of ``mode``: a body mode is chosen by name."""

from __future__ import annotations

from services.kit.clock import World
from services.kit.s3 import S3Client
from services.upload.body_modes.buffered import Buffered
from services.upload.body_modes.memory import Memory
from services.upload.body_modes.sink import BodyMode
from services.upload.body_modes.spooled import Spooled
from services.upload.body_modes.streamed import Streamed
from services.upload.chunk_store.spool import Spool
from services.upload.repository.sessions import Sessions

STREAMED = "streamed"


def body_modes(
    store: S3Client,
    sessions: Sessions,
    spool: Spool,
    memory: Memory,
    *,
    world: World,
    buffered_max_bytes: int,
) -> dict[str, BodyMode]:
    """Every value of ``mode``."""
    streamed = Streamed(store, sessions, memory, world)
    return {
        STREAMED: streamed,
        "spooled": Spooled(store, streamed, spool, world),
        "buffered": Buffered(store, streamed, memory, world, buffered_max_bytes),
    }
