"""The protocol between the receiving loop and a body mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.upload.model import RegisteredPart, Session


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file whose first bytes are here; ``size_bytes`` and ``checksum`` as far as its sender said them."""

    session: Session
    size_bytes: int | None
    checksum: str | None
    mime_type: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole file in the store: at its final key under ``etag``, or in parts that only have to be joined."""

    etag: str | None = None
    store_upload_id: str | None = None
    parts: tuple[RegisteredPart, ...] = ()


class FileSink(Protocol):
    """Where the bytes of one file go.

    The loop calls ``write`` for every piece and ``drained`` when ``full``; then ``finish`` once, or
    ``abort`` when anything went wrong, also with ``finish``.
    """

    @property
    def full(self) -> bool: ...

    async def write(self, data: bytes) -> None:
        """Raises Fault: there is no room for it."""

    async def drained(self) -> None:
        """Raises Fault: the store or the disk does not take it."""

    async def finish(self, checksum: str) -> Kept:
        """All bytes, of which there is at least one, are written and have this SHA-256.

        Raises:
            Fault: they are not stored.
        """

    async def abort(self) -> None:
        """Remove what was stored, as far as the store lets us; what stays is swept. Idempotent."""


class BodyMode(Protocol):
    """One value of ``mode``; ``max_bytes`` is the most that it takes, None: no limit of its own."""

    max_bytes: int | None

    async def open(self, incoming: Incoming) -> FileSink:
        """Raises Fault: it cannot be taken now."""


class Nowhere:
    """Bytes that are only hashed: they are stored already."""

    full = False

    async def write(self, data: bytes) -> None:
        """They are dropped."""

    async def drained(self) -> None:
        """Never full."""

    async def finish(self, checksum: str) -> Kept:
        return Kept()

    async def abort(self) -> None:
        """Nothing is open."""
