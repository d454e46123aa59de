"""What is uploaded: unique, incompressible bytes whose SHA-256 is known beforehand.

All files of one size share one seeded random pattern as long as they are. The last 64 bytes of every
5 MiB block, and of the file, are overwritten by an ASCII stamp that names the run, the upload and the
block: no two uploads are equal, and swapped, repeated or foreign blocks change the hash.

The expected hashes come from here, so neither arm pays for hashing in the load generator. Up to one
block, an upload costs the copy of a hash state and 64 bytes; longer files are hashed whole.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5, sha256

BLOCK_BYTES = 5 * 1024 * 1024
STAMP_BYTES = 64
# The slice that the chunked strategy sends in one request, as its clients cut it.
CHUNK_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One upload that k6 may make."""

    ref: str
    sha256: str
    stamps: tuple[str, ...]  # by block, the last one ends the file
    chunks: tuple[str, ...]  # SHA-256 of each slice of the payload's chunk size
    # What a store whose ETags are MD5 sums answers: stored whole, as one part, as one part per slice.
    etags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a stamp goes: it ends at ``end``, and only its last ``length`` characters are written."""

    block: int
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def make_pattern(seed: int, size_bytes: int) -> bytes:
    """``size_bytes`` of seeded noise; the same seed gives a prefix of the same bytes for any size."""
    source = random.Random(seed)
    blocks = (source.randbytes(BLOCK_BYTES) for _ in range(block_count(size_bytes)))
    return b"".join(blocks)[:size_bytes]


def block_count(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES)


def stamp_text(run: str, upload_ref: str, block: int) -> str:
    """The 64 characters that end one block of one upload."""
    return sha256(f"{run}|{upload_ref}|{block}".encode()).hexdigest()


def stamp_places(size_bytes: int) -> tuple[Stamp, ...]:
    """Stamps in the order they are written; a short last block may overwrite part of the one before."""
    ends = (min((block + 1) * BLOCK_BYTES, size_bytes) for block in range(block_count(size_bytes)))
    return tuple(Stamp(block, max(0, end - STAMP_BYTES), end) for block, end in enumerate(ends))


class Payload:
    """Makes bodies and expected hashes of one file size. Holds the pattern (``size_bytes``) in memory.

    Without ``etags`` the rows name none: of long files the MD5 sums take longer than everything else.
    """

    def __init__(
        self, run: str, seed: int, size_bytes: int, *, chunk_bytes: int = CHUNK_BYTES, etags: bool = True
    ) -> None:
        self.run = run
        self.size_bytes = size_bytes
        self.chunk_bytes = chunk_bytes
        self.etags = etags
        self.pattern = make_pattern(seed, size_bytes)
        self.places = stamp_places(size_bytes)
        prefix = self.pattern[: self.places[0].start] if self.places else b""
        self._sha256_before_stamp = sha256(prefix)
        self._md5_before_stamp = md5(prefix, usedforsecurity=False)

    def body(self, ref: str) -> bytes:
        """The whole body of one upload, as the client sends it."""
        return bytes(self._stamped(ref))

    def _stamped(self, ref: str) -> bytearray:
        content = bytearray(self.pattern)
        for place in self.places:
            text = stamp_text(self.run, ref, place.block).encode()
            content[place.start : place.end] = text[STAMP_BYTES - place.length :]
        return content

    def row(self, ref: str) -> UploadRow:
        stamps = tuple(stamp_text(self.run, ref, place.block) for place in self.places)
        if len(stamps) <= 1 and self.size_bytes <= self.chunk_bytes:
            return self._one_block(ref, stamps)
        return self._many_blocks(ref, stamps)

    def _one_block(self, ref: str, stamps: tuple[str, ...]) -> UploadRow:
        whole, sums = self._sha256_before_stamp.copy(), self._md5_before_stamp.copy()
        for place, stamp in zip(self.places, stamps, strict=True):
            written = stamp.encode()[STAMP_BYTES - place.length :]
            whole.update(written)
            sums.update(written)
        digest = whole.hexdigest()
        etags = (sums.hexdigest(), multipart_etag([sums.digest()]))
        return UploadRow(ref, digest, stamps, (digest,) if stamps else (), etags)

    def _many_blocks(self, ref: str, stamps: tuple[str, ...]) -> UploadRow:
        content = memoryview(self._stamped(ref))
        cuts = range(0, self.size_bytes, self.chunk_bytes)
        slices = [content[at : at + self.chunk_bytes] for at in cuts]
        state = self._sha256_before_stamp.copy()
        state.update(content[self.places[0].start :])
        whole = state.hexdigest()
        chunks = (whole,) if len(slices) == 1 else tuple(sha256(piece).hexdigest() for piece in slices)
        return UploadRow(ref, whole, stamps, chunks, _etags(content, slices) if self.etags else ())


def multipart_etag(part_md5s: Sequence[bytes]) -> str:
    """The ETag that stores give to an object made of parts: the MD5 of the parts' MD5s, and their number."""
    return f"{md5(b''.join(part_md5s), usedforsecurity=False).hexdigest()}-{len(part_md5s)}"


def _etags(content: memoryview, slices: Sequence[memoryview]) -> tuple[str, ...]:
    whole = md5(content, usedforsecurity=False)
    if len(slices) == 1:
        return (whole.hexdigest(), multipart_etag([whole.digest()]))
    parts = [md5(piece, usedforsecurity=False).digest() for piece in slices]
    return (whole.hexdigest(), multipart_etag([whole.digest()]), multipart_etag(parts))
