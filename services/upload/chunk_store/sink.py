"""The protocol between the receiving loop and the place a chunk goes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.upload.model import Opened, Send, Source


class Sink(Protocol):
    """One chunk's destination.

    The loop calls ``write`` for every piece and ``drained`` when ``full``; then ``finish`` once, or
    ``abort`` on any exception. What was finished but not accepted is removed with ``discard``.
    """

    @property
    def location(self) -> str | None:
        """As the chunk's row will name it; None when nothing is stored."""

    @property
    def full(self) -> bool: ...

    async def write(self, data: bytes) -> None: ...

    async def drained(self) -> None: ...

    async def finish(self, checksum: str) -> str | None:
        """All bytes are written and have this SHA-256; the store's ETag.

        Raises:
            Fault: the bytes are not stored.
        """

    async def abort(self) -> None: ...

    async def discard(self) -> None:
        """Remove what was stored. Best effort: what stays is swept.

        The final key is never touched: another sender's accepted bytes may be there.
        """


class ChunkStore(Protocol):
    """Keeps chunks until the upload is complete."""

    def claims(self, send: Send) -> bool:
        """Whether the open statement should claim a part number for this chunk."""

    async def open(self, send: Send, opened: Opened, mime_type: str | None) -> Sink:
        """A destination for this chunk; ``mime_type`` is the file's, None when it is not known yet.

        Raises:
            Fault: the store cannot take it now.
        """

    async def remove(self, sources: Sequence[Source]) -> None:
        """Remove those of the chunks that are in this store; they are not needed any more. Best effort."""


class Nowhere:
    """Bytes that are only hashed."""

    location: str | None = None
    full = False

    async def write(self, data: bytes) -> None:
        """They are dropped."""

    async def drained(self) -> None:
        """Never full."""

    async def finish(self, checksum: str) -> str | None:
        return None

    async def abort(self) -> None:
        """Nothing is open."""

    async def discard(self) -> None:
        """Nothing was stored."""
