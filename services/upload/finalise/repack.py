"""Joining what the store cannot join as it is: odd slices, temporary objects, spool files.

Parts that exist are first joined at the final key (step ``joined``; no file row exists yet, so nobody sees
that object). Then the file's object is built from ranges of it, copied inside the store, and from
everything smaller than a part, streamed through one 8 MiB buffer, and replaces it (step ``store``). Costs
the bytes up to twice.

The ETag of each object is recorded before it is made, so a later attempt knows what it finds. Every read
asks by ETag for the object that was joined or accepted, so two finishers never mix their work, and both
make the same bytes. Where the store can, the joined object is replaced only while it is the one there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from services.kit.s3 import (
    ByteRange,
    NoSuchUploadError,
    NotFoundError,
    Part,
    PreconditionFailedError,
    S3Client,
    Stored,
)
from services.upload.chunk_store.spool import Spool
from services.upload.finalise.etag import multipart_etag, put_etag
from services.upload.finalise.joining import found, gone, join
from services.upload.finalise.journal import Journal
from services.upload.finalise.plan import BUFFER_BYTES, Copy, Fill, Piece, plan
from services.upload.finalise.pool import Buffers
from services.upload.model import Made, Source, SourceKind, Step, Work

Replace = Callable[[str | None], Awaitable[Stored]]  # takes the ETag of the object that may be replaced


@dataclass(frozen=True, slots=True)
class _Target:
    key: str
    upload_id: str


class Repack:
    """Args:
    buffers: bounds how many repacks run at once, and with them the memory.
    conditional: the store heeds ``If-Match`` on what replaces an object.
    """

    def __init__(self, store: S3Client, spool: Spool, buffers: Buffers, *, conditional: bool) -> None:
        self._store, self._spool, self._buffers, self._conditional = store, spool, buffers, conditional

    async def make(self, work: Work, journal: Journal) -> Made:
        """The object from whatever sources the upload has.

        Raises:
            GaveUpError: a source is gone, and no recorded object is in its place.
        """
        made = await self._made(work)
        if made is not None:
            return made
        work = await self._joined(work, journal)
        try:
            async with self._buffers.one() as buffer:
                small = (work.session.file_size_bytes or 0) <= BUFFER_BYTES
                return await (self._put if small else self._build)(work, journal, buffer)
        except (NotFoundError, FileNotFoundError) as error:
            raise gone() from error
        except PreconditionFailedError:
            made = await self._made(work)  # the last write of an earlier holder of the job came late
            if made is None:
                raise
            return made

    async def _made(self, work: Work) -> Made | None:
        """The file's object, if one was recorded and is there."""
        if work.step is not Step.STORE:
            return None
        there = await found(self._store, work.session.storage_key, work.etag)
        return None if there is None else Made(there.etag, work.checksum)

    async def _joined(self, work: Work, journal: Journal) -> Work:
        """The parts as one object at the final key, if there are parts; ``joined_etag`` is its ETag."""
        parts = [source for source in work.sources if source.kind is SourceKind.PART]
        if not parts:
            return work
        session = work.session
        if work.step is Step.ASSEMBLE:
            etag = multipart_etag([source.etag for source in parts])
            work = replace(work, step=Step.JOINED, etag=etag, joined_etag=etag)
            await journal.step(work)
        try:
            stored = await join(
                self._store,
                session.storage_key,
                session.storage_upload_id or "",
                [Part(int(source.place), source.etag or "", source.size_bytes) for source in parts],
            )
        except NoSuchUploadError as error:  # joined before, now or by an earlier attempt
            there = await found(self._store, session.storage_key, work.joined_etag)
            if there is None and await self._made(work) is None:
                raise gone() from error
            return work
        return replace(work, joined_etag=stored.etag or work.joined_etag)

    async def _put(self, work: Work, journal: Journal, buffer: bytearray) -> Made:
        """A file that fits the buffer: one PUT."""
        filled = 0
        for piece in _pieces(work):
            filled = await self._read(piece, buffer, filled)
        body = bytes(memoryview(buffer)[:filled])

        async def put(if_match: str | None) -> Stored:
            return await self._store.put_bytes(
                work.session.storage_key,
                body,
                if_match=if_match,
                content_type=work.session.mime_type,
                meta={"sha256": work.checksum} if work.checksum else None,
            )

        return await self._replace(work, put_etag(body), journal, put)

    async def _build(self, work: Work, journal: Journal, buffer: bytearray) -> Made:
        """A larger file: a multipart upload of its own."""
        key = work.session.storage_key
        if work.repack_upload_id is not None:  # an earlier attempt's: its parts are not trusted
            await self._store.abort_multipart(key, work.repack_upload_id)
        upload_id = await self._store.create_multipart(key, content_type=work.session.mime_type)
        work = replace(work, repack_upload_id=upload_id)
        await journal.step(work)
        parts = await self._parts(_Target(key, upload_id), _pieces(work), buffer)

        async def complete(if_match: str | None) -> Stored:
            return await self._store.complete_multipart(key, upload_id, parts, if_match=if_match)

        return await self._replace(work, multipart_etag([part.etag for part in parts]), journal, complete)

    async def _replace(self, work: Work, etag: str | None, journal: Journal, write: Replace) -> Made:
        """Record the file's object, then let it take the place of the joined one."""
        work = replace(work, step=Step.STORE, etag=etag)
        await journal.step(work)
        try:
            stored = await write(work.joined_etag if self._conditional else None)
        except (PreconditionFailedError, NoSuchUploadError):
            made = await self._made(work)  # our own request was carried out, and its answer got lost
            if made is None:
                raise
            return made
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
                key, upload_id, number, source.key or "", byte_range=_range(source), source_etag=source.etag
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
        async with self._store.get(piece.key, byte_range=_range(piece), if_match=piece.etag) as download:
            async for data in download.pieces():
                yield data


def _range(piece: Piece) -> ByteRange:
    return ByteRange(piece.offset, piece.offset + piece.size_bytes - 1)


def _pieces(work: Work) -> list[Piece]:
    return pieces_of(work.session.storage_key, work.joined_etag, work.sources)


def pieces_of(final_key: str, joined_etag: str | None, sources: Sequence[Source]) -> list[Piece]:
    """Where the file's bytes are, in order, neighbours in the joined object taken together."""
    pieces: list[Piece] = []
    joined_bytes = 0
    for source in sources:
        match source.kind:
            case SourceKind.PART:
                piece = Piece(source.size_bytes, key=final_key, etag=joined_etag, offset=joined_bytes)
                joined_bytes += source.size_bytes
            case SourceKind.TEMPORARY:
                piece = Piece(source.size_bytes, key=source.place, etag=source.etag or None)
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
