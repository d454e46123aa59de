"""``POST /batch``: many files in one form, each an upload of its own.

The parts of a form arrive one after the other. What is left to do for a file once its bytes are here
(the last request to the store, the record, the registration) goes on while the next one arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault
from services.kit.web.forms import FormFault
from services.upload.body_modes.modes import STREAMED
from services.upload.metrics import Metrics
from services.upload.model import Method
from services.upload.senders import Senders
from services.upload.service.arrival import Arrival, FileWanted
from services.upload.service.whole import WholeFiles

_UNEXPECTED = Fault("internal_error", "Something went wrong on our side.")


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of a form; ``sent_name`` is its name without the folder of the batch."""

    sent_name: str
    name: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a file: it is durable, or ``fault`` says why not."""

    file_name: str
    file_id: UUID | None = None
    size_bytes: int = 0
    fault: Fault | None = None


class BatchService:
    """Args:
    workers: how many files of all batches are finished at once.
    max_file_bytes: the largest file.
    """

    def __init__(
        self,
        files: WholeFiles,
        senders: Senders,
        *,
        workers: int,
        max_file_bytes: int,
        max_bytes: int,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._files, self._max_file_bytes, self.max_bytes = files, max_file_bytes, max_bytes
        self._senders = senders
        self._slots = asyncio.Semaphore(workers)
        self._metrics, self._log = metrics, log

    async def upload(
        self, user_id: UUID, idempotency_key: str | None, files: AsyncIterator[BatchFile]
    ) -> list[BatchResult]:
        """What became of each file, in the order of the form.

        Raises:
            FormFault: of the form. Files that were whole before are stored all the same.
            ConnectionError: the client left; no further file was begun.
        """
        results: list[asyncio.Future[BatchResult]] = []
        try:
            with self._senders.sending(user_id):
                async for file in files:
                    key = None if idempotency_key is None else f"{idempotency_key}/{len(results)}"
                    wanted = FileWanted(user_id, Method.BATCH, file.name, None, None, key)
                    results.append(await self._take(wanted, file))
        finally:
            if results:
                await asyncio.wait(results)
        return [result.result() for result in results]

    async def _take(self, wanted: FileWanted, file: BatchFile) -> asyncio.Future[BatchResult]:
        """Receive one file; its result, which may still be on its way."""
        loop = asyncio.get_running_loop()
        try:
            arrival = await self._files.begin(wanted, STREAMED, self._max_file_bytes)
            await arrival.receive(file.pieces)
        except (FormFault, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - one file's fault stays its own
            failed: asyncio.Future[BatchResult] = loop.create_future()
            failed.set_result(self._failed(file, error))
            return failed
        await self._slots.acquire()
        return loop.create_task(self._finish(arrival, file))

    async def _finish(self, arrival: Arrival, file: BatchFile) -> BatchResult:
        try:
            session = (await arrival.finish()).session
        except Exception as error:  # noqa: BLE001 - one file's fault stays its own
            return self._failed(file, error)
        finally:
            self._slots.release()
        self._metrics.batch_files("upload", "ok").inc()
        return BatchResult(session.file_name, session.upload_uuid, arrival.size_bytes)

    def _failed(self, file: BatchFile, error: Exception) -> BatchResult:
        self._metrics.batch_files("upload", "failed").inc()
        result = BatchResult(file.sent_name, fault=_UNEXPECTED)
        if isinstance(error, Fault):
            return replace(result, fault=error)
        self._log.error("batch file", exc_info=error)
        return result
