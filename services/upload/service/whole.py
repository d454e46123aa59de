"""Opening the upload of a file that comes in one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from structlog.typing import FilteringBoundLogger

from services.kit.clock import World
from services.kit.errors import Fault
from services.kit.names import file_name, type_by_name
from services.kit.trail import about
from services.upload import errors
from services.upload.body_modes.sink import BodyMode
from services.upload.finalise.worker import run_every
from services.upload.model import OpenOutcome, State
from services.upload.repository.jobs import Jobs
from services.upload.repository.whole import NewFile
from services.upload.service.arrival import (
    Arrival,
    FileWanted,
    FirstArrival,
    Intake,
    RepeatedArrival,
    too_long,
)


class WholeFiles:
    """Args:
    modes: the body modes by name.
    max_open: open uploads a user may have.
    """

    def __init__(
        self, intake: Intake, jobs: Jobs, modes: Mapping[str, BodyMode], *, world: World, max_open: int
    ) -> None:
        self._intake, self._jobs, self.modes = intake, jobs, modes
        self._world, self._max_open = world, max_open

    async def begin(self, wanted: FileWanted, mode_name: str, max_bytes: int) -> Arrival:
        """Open the upload of a file.

        Args:
            max_bytes: what the route allows.

        Raises:
            Fault: its name or its size; the limit of open uploads; its idempotency key.
        """
        mode = self.modes[mode_name]
        name = file_name(wanted.file_name)
        if wanted.size_bytes is not None:
            _judge_size(wanted.size_bytes, max_bytes, mode)
        new = NewFile(
            upload_uuid=self._world.new_uuid(),
            user_id=wanted.user_id,
            method=wanted.method,
            file_name=name,
            mime_type=type_by_name(name),
            size_bytes=wanted.size_bytes,
            checksum=wanted.checksum,
            idempotency_key=wanted.idempotency_key,
        )
        outcome, session = await self._intake.uploads.open(new, self._max_open)
        if session is None:
            raise Fault("too_many_open_uploads", f"A user may have at most {self._max_open} open uploads.")
        if outcome is OpenOutcome.CONFLICT:
            raise Fault("idempotency_conflict", "This Idempotency-Key was used with other facts.")
        if session.status is State.ABORTED:
            raise errors.aborted()
        about(session.upload_uuid)
        limit_bytes = max_bytes if mode.max_bytes is None else min(max_bytes, mode.max_bytes)
        if outcome is OpenOutcome.CREATED:
            self._intake.metrics.sessions(wanted.method, "created").inc()
            self._intake.receiving.add(session.id)
            return FirstArrival(self._intake, session, wanted, limit_bytes, mode)
        if outcome is OpenOutcome.REQUEUED:
            self._intake.finaliser.start(await self._jobs.load(session.id))
        return RepeatedArrival(self._intake, session, wanted, limit_bytes)

    @asynccontextmanager
    async def renewing(self, period_s: float, log: FilteringBoundLogger) -> AsyncIterator[None]:
        """Inside the block the lease of no upload that is being received here runs out."""
        task = asyncio.create_task(run_every(period_s, self.renew, log))
        try:
            yield
        finally:
            task.cancel()

    async def renew(self) -> None:
        if self._intake.receiving:
            await self._intake.uploads.renew(self._intake.receiving)


def _judge_size(size_bytes: int, max_bytes: int, mode: BodyMode) -> None:
    if size_bytes > max_bytes:
        raise Fault("file_too_large", f"A file uploaded this way may have at most {max_bytes} bytes.")
    if mode.max_bytes is not None and size_bytes > mode.max_bytes:
        raise too_long(mode.max_bytes)
