"""Which bytes of a repack are copied inside the store, and which pass through the buffer.

The store wants parts of at least 5 MiB, the last one apart, and at most 10,000 of them. A piece that is
long enough is copied; shorter ones collect in the buffer, and a long piece lends its head when what
collected is still too short for a part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from services.upload.model import MAX_PART_BYTES, MIN_PART_BYTES

BUFFER_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bytes of the file: in the object ``key``, with its ``etag``, or in a spool file ``path``."""

    size_bytes: int
    key: str | None = None
    path: str | None = None
    etag: str | None = None
    offset: int = 0

    def head(self, size_bytes: int) -> Piece:
        return replace(self, size_bytes=size_bytes)

    def rest(self, size_bytes: int) -> Piece:
        """What is left after ``size_bytes``."""
        return replace(self, size_bytes=self.size_bytes - size_bytes, offset=self.offset + size_bytes)


@dataclass(frozen=True, slots=True)
class Copy:
    """One part, copied inside the store."""

    piece: Piece


@dataclass(frozen=True, slots=True)
class Fill:
    """One part, of pieces streamed through the buffer."""

    pieces: tuple[Piece, ...]


def plan(pieces: Iterable[Piece]) -> Iterator[Copy | Fill]:
    """The parts of the new object, in order; all but the last are at least 5 MiB."""
    waiting: list[Piece] = []
    waiting_bytes = 0
    for whole in pieces:
        piece = whole
        while piece.size_bytes:
            if _copyable(piece) and waiting_bytes >= MIN_PART_BYTES:
                yield Fill(tuple(waiting))
                waiting, waiting_bytes = [], 0
            if _copyable(piece) and not waiting:
                size = _copy_size(piece.size_bytes)
                yield Copy(piece.head(size))
                piece = piece.rest(size)
                continue
            size = min(piece.size_bytes, _room(piece, waiting_bytes))
            waiting.append(piece.head(size))
            waiting_bytes += size
            piece = piece.rest(size)
            if waiting_bytes == BUFFER_BYTES:
                yield Fill(tuple(waiting))
                waiting, waiting_bytes = [], 0
    if waiting:
        yield Fill(tuple(waiting))


def _copyable(piece: Piece) -> bool:
    return piece.key is not None and piece.size_bytes >= MIN_PART_BYTES


def _copy_size(size_bytes: int) -> int:
    """At most the largest part, and never so much that a rest too short for a part is left over."""
    if size_bytes <= MAX_PART_BYTES:
        return size_bytes
    return MAX_PART_BYTES if size_bytes - MAX_PART_BYTES >= MIN_PART_BYTES else size_bytes - MIN_PART_BYTES


def _room(piece: Piece, waiting_bytes: int) -> int:
    """How much of ``piece`` joins what waits: what fills the buffer, or just a part if the rest of the
    piece can then be copied."""
    lacking = MIN_PART_BYTES - waiting_bytes
    if piece.key is not None and lacking > 0 and piece.size_bytes - lacking >= MIN_PART_BYTES:
        return lacking
    return BUFFER_BYTES - waiting_bytes
