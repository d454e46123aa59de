"""Joining what the store cannot join as it is: odd slices, temporary objects, spool files.

Parts that exist are first completed onto the final key (step ``joined``, its ETag recorded before; no
file row exists yet, so nobody sees it). Then a new multipart upload for the same key takes ranges of
that object by copy inside the store, and everything smaller than a part by streaming it through one
8 MiB buffer (step ``store``). Costs the bytes up to twice; resumes by recorded step and ETag.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from services.kit.s3 import (
    ByteRange,
    NoSuchUploadError,
    NotFoundError,
    Part,
    S3Client,
    same_etag,
)
from services.upload.chunk_store.spool import Spool
from services.upload.finalise.etag import multipart_etag
from services.upload.finalise.journal import Journal
from services.upload.finalise.outcome import GaveUpError
from services.upload.finalise.plan import BUFFER_BYTES, Copy, Fill, Piece, plan
from services.upload.finalise.pool import Buffers
from services.upload.model import Made, Source, SourceKind, Step, Work


def gone() -> GaveUpError:
    return GaveUpError("upload_failed", "The bytes received so far are no longer there.")


@dataclass(frozen=True, slots=True)
class _Target:
    key: str
    upload_id: str


class Repack:
    """Args:
    buffers: bounds how many repacks run at once, and with them the memory.
    """

    def __init__(self, store: S3Client, spool: Spool, buffers: Buffers) -> None:
        self._store, self._spool, self._buffers = store, spool, buffers

    async def make(self, work: Work, journal: Journal) -> Made:
        """The object from whatever sources the upload has.

        Raises:
            GaveUpError: a source is gone, and no recorded object is in its place.
        """
        if work.step is Step.STORE:
            made = await self._stored_before(work)
            if made is not None:
                return made
        work = await self._joined(work, journal)
        try:
            return await self._build(work, journal)
        except (NotFoundError, FileNotFoundError) as error:
            raise gone() from error

    async def _stored_before(self, work: Work) -> Made | None:
        try:
            found = await self._store.head(work.session.storage_key)
        except NotFoundError:
            return None
        return Made(found.etag, work.checksum) if work.etag and same_etag(found.etag, work.etag) else None

    async def _joined(self, work: Work, journal: Journal) -> Work:
        """The parts as one object at the final key, if there are parts."""
        parts = [source for source in work.sources if source.kind is SourceKind.PART]
        if not parts or (work.step is Step.STORE and work.joined_etag is not None):
            return work
        if work.step is Step.ASSEMBLE:
            etag = multipart_etag([source.etag for source in parts])
            work = replace(work, step=Step.JOINED, etag=etag, joined_etag=etag)
            await journal.step(work)
        session = work.session
        try:
            await self._store.complete_multipart(
                session.storage_key,
                session.storage_upload_id or "",
                [Part(int(source.place), source.etag or "", source.size_bytes) for source in parts],
            )
        except NoSuchUploadError as error:  # joined before, and the answer got lost
            try:
                found = await self._store.head(session.storage_key)
            except NotFoundError:
                raise gone() from error
            if work.joined_etag is None or not same_etag(found.etag, work.joined_etag):
                raise gone() from error
        return work

    async def _build(self, work: Work, journal: Journal) -> Made:
        session, pieces = work.session, pieces_of(work.session.storage_key, work.sources)
        async with self._buffers.one() as buffer:
            if (session.file_size_bytes or 0) <= BUFFER_BYTES:
                return await self._put(work, pieces, buffer)
            if work.repack_upload_id is not None:  # an earlier attempt's: its parts are not trusted
                await self._store.abort_multipart(session.storage_key, work.repack_upload_id)
            upload_id = await self._store.create_multipart(
                session.storage_key, content_type=session.mime_type
            )
            work = replace(work, repack_upload_id=upload_id)
            await journal.step(work)
            parts = await self._parts(_Target(session.storage_key, upload_id), pieces, buffer)
        work = replace(work, step=Step.STORE, etag=multipart_etag([part.etag for part in parts]))
        await journal.step(work)
        stored = await self._store.complete_multipart(session.storage_key, upload_id, parts)
        return Made(stored.etag, work.checksum)

    async def _put(self, work: Work, pieces: list[Piece], buffer: bytearray) -> Made:
        """A file that fits the buffer: one PUT, which may be repeated."""
        session = work.session
        filled = 0
        for piece in pieces:
            filled = await self._read(piece, buffer, filled)
        meta = {"sha256": work.checksum} if work.checksum else None
        stored = await self._store.put_bytes(
            session.storage_key, bytes(memoryview(buffer)[:filled]), content_type=session.mime_type, meta=meta
        )
        return Made(stored.etag, work.checksum)

    async def _parts(self, target: _Target, pieces: list[Piece], buffer: bytearray) -> list[Part]:
        parts: list[Part] = []
        for number, action in enumerate(plan(pieces), start=1):
            parts.append(Part(number, await self._part(target, number, action, buffer)))
        return parts

    async def _part(self, target: _Target, number: int, action: Copy | Fill, buffer: bytearray) -> str:
        """Its ETag."""
        key, upload_id = target.key, target.upload_id
        if isinstance(action, Copy):
            source = action.piece
            copied = await self._store.copy_part(
                key, upload_id, number, source.key or "", byte_range=_range(source)
            )
            return copied.etag
        filled = 0
        for piece in action.pieces:
            filled = await self._read(piece, buffer, filled)
        stored = await self._store.put_part_bytes(key, upload_id, number, bytes(memoryview(buffer)[:filled]))
        return stored.etag

    async def _read(self, piece: Piece, buffer: bytearray, filled: int) -> int:
        """Append ``piece`` to the buffer; the new fill."""
        end = filled + piece.size_bytes
        async for data in self._pieces(piece):
            if filled + len(data) > end:
                raise gone()
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        if filled != end:
            raise gone()  # a source is not as long as what was accepted
        return filled

    async def _pieces(self, piece: Piece) -> AsyncIterator[bytes]:
        if piece.key is None:
            async for data in self._spool.read(piece.path or "", piece.offset, piece.size_bytes):
                yield data
            return
        async with self._store.get(piece.key, byte_range=_range(piece)) as download:
            async for data in download.pieces():
                yield data


def _range(piece: Piece) -> ByteRange:
    return ByteRange(piece.offset, piece.offset + piece.size_bytes - 1)


def pieces_of(final_key: str, sources: Sequence[Source]) -> list[Piece]:
    """Where the file's bytes are, in order, neighbours in the joined object taken together."""
    pieces: list[Piece] = []
    joined_bytes = 0
    for source in sources:
        match source.kind:
            case SourceKind.PART:
                piece = Piece(source.size_bytes, key=final_key, offset=joined_bytes)
                joined_bytes += source.size_bytes
            case SourceKind.TEMPORARY:
                piece = Piece(source.size_bytes, key=source.place)
            case SourceKind.SPOOL:
                piece = Piece(source.size_bytes, path=source.place)
            case SourceKind.FINAL:
                raise ValueError("a whole file needs no repack")
            case _:
                assert_never(source.kind)
        before = pieces[-1] if pieces else None
        if before is not None and before.key == final_key == piece.key:
            pieces[-1] = replace(before, size_bytes=before.size_bytes + piece.size_bytes)
        else:
            pieces.append(piece)
    return pieces
