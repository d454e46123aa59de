"""A file on its way in, in one request: received and hashed, then recorded and made durable.

Nothing of it is recorded as received before its length and hash are right; what broke off or was refused
leaves no object and no file. Once it is recorded, its job goes on whatever becomes of the request.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from uuid import UUID

from services.kit.errors import Fault
from services.upload import errors
from services.upload.body_modes.sink import BodyMode, FileSink, Incoming, Kept, Nowhere
from services.upload.chunk_store.sniff import SNIFF_BYTES, type_of
from services.upload.finalise.worker import Finaliser
from services.upload.metrics import Metrics
from services.upload.model import Looks, Method, Session, State, Work
from services.upload.repository.whole import Received, WholeUploads

LOOK_S = 0.25
_BROKEN = Fault("upload_aborted", "The file was not received to its end.")


@dataclass(frozen=True, slots=True)
class FileWanted:
    """A file as its request announces it; ``size_bytes`` and ``checksum`` as far as it says them."""

    user_id: UUID
    method: Method
    file_name: str
    size_bytes: int | None
    checksum: str | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Intake:
    """What every arrival needs.

    ``wait_s`` is how long a request waits for another one that sends the same file; ``receiving`` holds
    the ids of the uploads whose bytes arrive here.
    """

    uploads: WholeUploads
    finaliser: Finaliser
    metrics: Metrics
    wait_s: float
    receiving: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Durable:
    """An upload that is durable; ``looks`` is how its file looks where this process registered it."""

    session: Session
    looks: Looks | None = None


class Arrival(ABC):
    """``receive`` the body, then ``finish``; both end the upload when they fail.

    Args:
        limit_bytes: the largest body that is taken.
    """

    def __init__(self, intake: Intake, session: Session, wanted: FileWanted, limit_bytes: int) -> None:
        self._intake, self.session, self._wanted, self._limit_bytes = intake, session, wanted, limit_bytes
        self._digest = sha256()
        self.size_bytes = 0

    @abstractmethod
    async def receive(self, body: AsyncIterator[bytes]) -> None:
        """All bytes.

        Raises:
            Fault: they are not what was announced, or cannot be taken.
            ConnectionError: the client left.
        """

    @abstractmethod
    async def finish(self) -> Durable:
        """Returns when it is durable.

        Raises:
            Fault: it is not; with ``details.upload_uuid`` where it may still become durable.
        """

    async def _pump(self, sink: FileSink, head: list[bytes], body: AsyncIterator[bytes]) -> None:
        """Every piece is hashed and handed on; none is kept while the next one is waited for."""
        head.reverse()
        while head:
            await self._piece(sink, head.pop())
        async for data in body:
            await self._piece(sink, data)
            del data
        self._judge()

    async def _piece(self, sink: FileSink, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise too_long(self._limit_bytes)
        self._digest.update(data)
        await sink.write(data)
        if sink.full:
            await sink.drained()

    def _judge(self) -> None:
        declared, promised = self._wanted.size_bytes, self._wanted.checksum
        if declared is not None and self.size_bytes != declared:
            raise errors.size_mismatch(f"{self.size_bytes} bytes came, declared were {declared}.")
        if promised is not None and self._digest.hexdigest() != promised:
            raise errors.checksum_mismatch()


class FirstArrival(Arrival):
    """The bytes are stored."""

    def __init__(
        self, intake: Intake, session: Session, wanted: FileWanted, limit_bytes: int, mode: BodyMode
    ) -> None:
        super().__init__(intake, session, wanted, limit_bytes)
        self._mode = mode
        self._sink: FileSink = Nowhere()
        self._mime_type = ""

    async def receive(self, body: AsyncIterator[bytes]) -> None:
        try:
            head = await _beginning(body)
            self._mime_type = self.session.mime_type or type_of(b"".join(head))
            wanted = self._wanted
            if head:
                self._sink = await self._mode.open(
                    Incoming(self.session, wanted.size_bytes, wanted.checksum, self._mime_type)
                )
            await self._pump(self._sink, head, body)
        except BaseException as error:
            await self._give_up(error)
            raise

    async def finish(self) -> Durable:
        checksum = self._digest.hexdigest()
        try:
            kept = await self._sink.finish(checksum) if self.size_bytes else Kept()
        except BaseException as error:
            await self._give_up(error)
            raise
        work = await self._accept(checksum, kept)
        intake, method = self._intake, self._wanted.method
        intake.metrics.bytes(method).inc(self.size_bytes)
        intake.finaliser.start(work)
        return await joined(intake.finaliser, work.session)

    async def _accept(self, checksum: str, kept: Kept) -> Work:
        received = Received(
            self.size_bytes, checksum, self._mime_type, kept.etag, kept.store_upload_id, kept.parts
        )
        try:
            # If its answer gets lost, nobody knows whether it was recorded: then nothing may be removed.
            work = await self._intake.uploads.accept(self.session, received)
        except Fault as fault:
            raise named(fault, self.session) from fault
        finally:
            self._intake.receiving.discard(self.session.id)
        if work is None:
            await self._sink.abort()
            raise errors.aborted()
        return work

    async def _give_up(self, error: BaseException) -> None:
        """The file did not come: nothing of it stays."""
        fault = error if isinstance(error, Fault) else _BROKEN
        try:
            await self._sink.abort()
        finally:
            self._intake.receiving.discard(self.session.id)
        with suppress(Fault):  # then its lease runs out, and it is swept
            if await self._intake.uploads.give_up(self.session.id, fault.code, fault.message):
                self._intake.metrics.sessions(self._wanted.method, "aborted").inc()


class RepeatedArrival(Arrival):
    """The same file under the same key again: it is compared, and the first request's upload counts."""

    async def receive(self, body: AsyncIterator[bytes]) -> None:
        await self._pump(Nowhere(), [], body)

    async def finish(self) -> Durable:
        session = await self._received()
        if (session.file_size_bytes, session.checksum) != (self.size_bytes, self._digest.hexdigest()):
            raise Fault("idempotency_conflict", "This Idempotency-Key was used for other bytes.")
        if session.status is State.FAILED:
            raise errors.failed(session.error_message)
        if session.status is State.COMPLETED:
            return Durable(session)
        return await joined(self._intake.finaliser, session)

    async def _received(self) -> Session:
        """The upload once the request that sends it has sent it all."""
        until = monotonic() + self._intake.wait_s
        while (found := await self._intake.uploads.look(self.session.id)) is not None:
            session, receiving = found
            if not receiving:
                if session.status in {State.PENDING, State.ABORTED}:
                    break
                return session
            if monotonic() > until:
                raise named(errors.still_finalising(), session)
            await asyncio.sleep(LOOK_S)
        raise errors.send_again("The first request with this key broke off. Please send the file again.")


def too_long(limit_bytes: int) -> Fault:
    return Fault("body_too_large", f"A file sent this way may have at most {limit_bytes} bytes.")


async def _beginning(body: AsyncIterator[bytes]) -> list[bytes]:
    """The first pieces, enough to tell a type by content however they were cut."""
    pieces, size_bytes = list[bytes](), 0
    while size_bytes < SNIFF_BYTES and (data := await anext(body, b"")):
        pieces.append(data)
        size_bytes += len(data)
    return pieces


def named(fault: Fault, session: Session) -> Fault:
    """The same fault of an upload that is not over: its status tells what became of it."""
    details = {**(fault.details or {}), "upload_uuid": session.upload_uuid}
    return Fault(fault.code, fault.message, details=details, headers=fault.headers)


async def joined(finaliser: Finaliser, session: Session) -> Durable:
    """Wait until it is durable.

    Raises:
        Fault: with ``details.upload_uuid``.
    """
    try:
        looks = await finaliser.join(session.id)
    except Fault as fault:
        raise named(fault, session) from fault
    return Durable(session.with_status(State.COMPLETED), looks)
