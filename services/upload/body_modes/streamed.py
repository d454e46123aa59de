"""``mode=streamed``: to the store while it is received."""

from __future__ import annotations

from services.kit.clock import World
from services.kit.errors import unavailable
from services.kit.s3 import S3Client, StoreError
from services.kit.s3.retry import Retry
from services.upload.body_modes.memory import Memory
from services.upload.body_modes.parts import MAX_BYTES, PartsSink
from services.upload.body_modes.put import PutSink, open_put
from services.upload.body_modes.sink import FileSink, Incoming
from services.upload.model import MAX_PUT_BYTES
from services.upload.repository.sessions import Sessions


class Streamed:
    """Nothing of ours holds more than two parts of a file."""

    max_bytes: int | None = MAX_BYTES

    def __init__(self, store: S3Client, sessions: Sessions, memory: Memory, world: World) -> None:
        self._store, self._sessions, self._memory, self._world = store, sessions, memory, world

    async def open(self, incoming: Incoming) -> FileSink:
        size_bytes = incoming.size_bytes
        if size_bytes is None or size_bytes > MAX_PUT_BYTES:
            return self.parts(incoming)
        try:
            exchange = await open_put(self._store, incoming, size_bytes, incoming.checksum)
        except StoreError as error:
            raise unavailable("object store") from error
        return PutSink(self._store, incoming, exchange, size_bytes)

    def parts(self, incoming: Incoming) -> PartsSink:
        held, retry = self._memory.held(), Retry(self._world.rng)
        return PartsSink(self._store, self._sessions, incoming, held=held, retry=retry)
