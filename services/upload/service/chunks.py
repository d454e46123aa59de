"""Receiving a chunk: look, place, stream and hash, record, and finish the upload when it was the last.

The body goes to a new place; only when its length and hash are right is anything recorded. So a refused
or broken send, or two sends of one index at once, never change accepted bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from time import perf_counter
from typing import assert_never

from services.kit.errors import Fault
from services.upload import errors
from services.upload.chunk_store.sink import ChunkStore, Nowhere, Sink
from services.upload.chunk_store.sniff import type_of
from services.upload.cleaning import Cleaner
from services.upload.finalise.modes import FinaliseMode
from services.upload.finalise.worker import Finaliser
from services.upload.metrics import Metrics
from services.upload.model import ChunkOutcome, Opened, Send, Session, State, Work
from services.upload.repository.chunks import Accepted, Chunks, Stored
from services.upload.repository.jobs import Jobs
from services.upload.senders import Senders

HELD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ChunkTaken:
    """The answer to a chunk that is in."""

    send: Send
    received_bytes: int
    status: State


class ChunkService:
    """Args:
    modes: the values of ``FINALISE``, by the name that each session carries.
    """

    def __init__(
        self,
        chunks: Chunks,
        store: ChunkStore,
        jobs: Jobs,
        *,
        finaliser: Finaliser,
        modes: Mapping[str, FinaliseMode],
        cleaner: Cleaner,
        senders: Senders,
        metrics: Metrics,
    ) -> None:
        self._chunks, self._store, self._jobs = chunks, store, jobs
        self._finaliser, self._modes, self._cleaner, self._metrics = finaliser, modes, cleaner, metrics
        self._senders = senders

    async def receive(self, send: Send, body: AsyncIterator[bytes]) -> ChunkTaken:
        """Take one chunk; for the last one of an inline upload the return means durable.

        Raises:
            Fault: every refusal of the contract, and ``dependency_unavailable``.
            ConnectionError: the client left; nothing is recorded.
        """
        try:
            return await self._receive(send, body)
        except Fault:
            self._metrics.chunks("refused").inc()
            raise

    async def _receive(self, send: Send, body: AsyncIterator[bytes]) -> ChunkTaken:
        with self._senders.sending(send.user_id, (send.upload_uuid, send.index)):
            opened = await self._open(send)
            sink, stored = await self._take(send, opened, body)
        started = perf_counter()
        accepted = await self._chunks.accept(send, stored)
        self._metrics.chunk_seconds("database").observe(perf_counter() - started)
        if accepted.outcome not in {ChunkOutcome.STORED, ChunkOutcome.REPLACED}:
            await sink.discard()
            if accepted.outcome is ChunkOutcome.ABORTED:
                self._cleaner.aborted(opened.session)  # what was stored came after the last cleaning
            return await self._not_kept(send, opened.session, accepted)
        self._metrics.chunks(accepted.outcome).inc()
        self._metrics.bytes(opened.session.method).inc(send.size_bytes)
        if accepted.replaced is not None:
            await self._store.remove([accepted.replaced])
        status = State.PENDING
        if accepted.complete:
            work = _work(opened.session, stored, accepted)
            status = await self._modes[work.session.finalise_mode].after_accept(work)
        return ChunkTaken(send, accepted.received_bytes, status)

    async def _open(self, send: Send) -> Opened:
        opened = await self._chunks.open(send, claim=self._store.claims(send))
        if opened is None:
            raise errors.not_found()
        gap = opened.outcome is ChunkOutcome.GAP
        missing = await self._chunks.missing(opened.session, send.index) if gap else ()
        _refuse(opened.outcome, opened.session, missing)
        return opened

    async def _take(self, send: Send, opened: Opened, body: AsyncIterator[bytes]) -> tuple[Sink, Stored]:
        """The body in its place, checked."""
        started = perf_counter()
        first = await _beginning(body)
        found_type = type_of(first) if send.index == 0 else None
        mime_type = opened.session.mime_type or found_type
        sink = await self._store.open(send, opened, mime_type) if send.size_bytes else Nowhere()
        try:
            pump = _pump(sink, first, body)
            del first  # else this frame would keep a piece in memory as long as the body lasts
            pumped = await pump
            if pumped.size_bytes != send.size_bytes:
                raise errors.size_mismatch(
                    f"{pumped.size_bytes} bytes came, declared were {send.size_bytes}."
                )
        except BaseException:
            await sink.abort()
            raise
        received_at = perf_counter()
        etag = await self._finish(sink, send, pumped.checksum)
        seconds = self._metrics.chunk_seconds
        seconds("receive").observe(received_at - started - pumped.hash_s)
        seconds("hash").observe(pumped.hash_s)
        seconds("write").observe(perf_counter() - received_at)
        return sink, Stored(pumped.size_bytes, pumped.checksum, sink.location, etag, found_type)

    @staticmethod
    async def _finish(sink: Sink, send: Send, checksum: str) -> str | None:
        if send.checksum is None or send.checksum == checksum:
            return await sink.finish(checksum)
        # The store may be about to keep it: wait for its answer, then make sure that it does not.
        with suppress(Fault):
            await sink.finish(checksum)
            await sink.discard()
        raise errors.checksum_mismatch()

    async def _not_kept(self, send: Send, session: Session, accepted: Accepted) -> ChunkTaken:
        outcome = accepted.outcome
        _refuse(outcome, session, accepted.missing)
        if outcome in {ChunkOutcome.DUPLICATE, ChunkOutcome.EMPTY}:
            self._metrics.chunks(outcome).inc()
            return ChunkTaken(send, accepted.received_bytes, State.PENDING)
        if outcome is ChunkOutcome.REQUEUED:
            work = await self._jobs.load(session.id)
            self._finaliser.start(work, self._modes[session.finalise_mode].journal)
        if outcome is not ChunkOutcome.DONE:
            await self._finaliser.join(session.id)
        return ChunkTaken(send, accepted.received_bytes, State.COMPLETED)


@dataclass(frozen=True, slots=True)
class _Pumped:
    size_bytes: int
    checksum: str
    hash_s: float


async def _beginning(body: AsyncIterator[bytes]) -> bytes:
    """64 KiB or, of a shorter body, all: who sends next to nothing holds no connection to the store, and
    it is enough to tell the file's type."""
    first = await anext(body, b"")
    if not first or len(first) >= HELD_BYTES:
        return first
    held = bytearray(first)
    while len(held) < HELD_BYTES and (data := await anext(body, b"")):
        held += data
    return bytes(held)


async def _pump(sink: Sink, data: bytes, body: AsyncIterator[bytes]) -> _Pumped:
    """Every piece is hashed and handed on; the only wait is for a full connection to the store.

    No piece is kept while the next one is waited for: a hundred uploads would keep a hundred of them.
    """
    digest, received, hash_s, clock = sha256(), 0, 0.0, perf_counter
    while data:
        received += len(data)
        before = clock()
        digest.update(data)
        hash_s += clock() - before
        await sink.write(data)
        del data
        if sink.full:
            await sink.drained()
        data = await anext(body, b"")
    return _Pumped(received, digest.hexdigest(), hash_s)


def _work(session: Session, stored: Stored, accepted: Accepted) -> Work:
    now = replace(
        session,
        status=State.ASSEMBLING,
        mime_type=accepted.mime_type,
        storage_upload_id=accepted.store_upload_id,
    )
    checksum = stored.checksum if len(accepted.sources) == 1 else None
    return Work(now, sources=accepted.sources, checksum=checksum, acquired=accepted.acquired)


def _refuse(outcome: ChunkOutcome, session: Session, missing: Sequence[int]) -> None:
    """Raises the Fault of an outcome that is a refusal."""
    match outcome:
        case ChunkOutcome.GONE:
            raise errors.not_found()
        case ChunkOutcome.WRONG_METHOD:
            raise errors.wrong_method(session)
        case ChunkOutcome.ABORTED:
            raise errors.aborted()
        case ChunkOutcome.FAILED:
            raise errors.failed(session.error_message)
        case ChunkOutcome.CONFLICT:
            raise errors.chunk_conflict()
        case ChunkOutcome.NOT_OPEN:
            raise errors.not_open()
        case ChunkOutcome.TOO_LARGE:
            raise errors.size_mismatch("With this chunk the upload would exceed its declared size.")
        case ChunkOutcome.GAP:
            raise errors.chunk_gap(missing)
        case ChunkOutcome.SEND_AGAIN:
            raise errors.send_again()
        case (
            ChunkOutcome.STORED
            | ChunkOutcome.REPLACED
            | ChunkOutcome.DUPLICATE
            | ChunkOutcome.EMPTY
            | ChunkOutcome.JOIN
            | ChunkOutcome.DONE
            | ChunkOutcome.REQUEUED
        ):
            return
        case _:
            assert_never(outcome)
