"""One attempt to finalise: make the object, register the file, write down that it is durable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from services.kit.errors import Fault, unavailable
from services.kit.s3 import StoreError
from services.upload import errors
from services.upload.cleaning import Cleaner
from services.upload.finalise.journal import Journal
from services.upload.finalise.outcome import (
    Ending,
    GaveUpError,
    LeaseLostError,
    Outcome,
    RefusedError,
    ReopenError,
)
from services.upload.finalise.proxied import Maker
from services.upload.metrics import Metrics
from services.upload.model import DIRECT, Looks, Made, Method, Session, Work
from services.upload.repository.jobs import Finished

_RESULTS = {Ending.DURABLE: "ok", Ending.RETRYING: "retry", Ending.FAILED: "failed", Ending.REOPENED: "ok"}


class Register(Protocol):
    async def register(self, session: Session, made: Made) -> Looks | None:
        """Repeating it changes nothing; see ``Registrar``."""


class Runner:
    """Args:
    makers: who makes the object, by the upload's method.
    empty: who makes an object of no bytes, whatever the method.
    """

    def __init__(
        self,
        makers: Mapping[Method, Maker],
        empty: Maker,
        *,
        registrar: Register,
        cleaner: Cleaner,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._makers, self._empty, self._registrar = makers, empty, registrar
        self._cleaner, self._metrics, self._log = cleaner, metrics, log

    async def run(self, work: Work, journal: Journal) -> Outcome:
        """Never raises; a fault of the journal's own database leaves the job to the lease's end."""
        method = work.session.method
        try:
            with self._metrics.phase(method, "total"):
                outcome = await self._attempt(work, journal)
        except LeaseLostError:
            return Outcome(Ending.LOST, errors.still_finalising())
        except Fault as fault:
            outcome = Outcome(Ending.RETRYING, fault)
        self._metrics.attempts(method, _RESULTS[outcome.ending]).inc()
        if outcome.ending is Ending.FAILED:
            self._metrics.sessions(method, "failed").inc()
        return outcome

    async def _attempt(self, work: Work, journal: Journal) -> Outcome:
        try:
            looks = await self._finalise(work, journal)
        except ReopenError as error:
            await journal.reopen(work, error.state, error.fault.code, error.fault.message)
            return Outcome(Ending.REOPENED, error.fault)
        except GaveUpError as error:
            self._log.error("finalise gave up", upload_uuid=str(work.session.upload_uuid), code=error.code)
            await journal.fail(work, error.code, error.message)
            return Outcome(Ending.FAILED, errors.failed(error.message))
        except StoreError as error:
            return await self._again(work, journal, unavailable("object store"), error)
        except RefusedError as error:
            return await self._again(work, journal, unavailable("files service"), error)
        except (LeaseLostError, Fault):
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a task: a bug must not lose the job
            self._log.exception("finalise", upload_uuid=str(work.session.upload_uuid))
            return await self._again(work, journal, unavailable("upload service"), error)
        return Outcome(Ending.DURABLE, looks=looks)

    async def _again(self, work: Work, journal: Journal, fault: Fault, error: Exception) -> Outcome:
        upload = str(work.session.upload_uuid)
        self._log.warning(
            "finalise attempt failed", upload_uuid=upload, attempt=work.attempts, reason=str(error)
        )
        ending = await journal.retry(work, fault.code, fault.message)
        return Outcome(ending, fault if ending is Ending.RETRYING else errors.failed(fault.message))

    async def _finalise(self, work: Work, journal: Journal) -> Looks | None:
        session = work.session
        maker = self._makers[session.method] if session.file_size_bytes else self._empty
        made = await maker.make(work, journal)
        with self._metrics.phase(session.method, "register"):
            looks = await self._registrar.register(session, made)
        self._durable(work, await journal.finish(work, made))
        self._cleaner.completed(work)
        return looks

    def _durable(self, work: Work, finished: Finished) -> None:
        method = work.session.method
        self._metrics.sessions(method, "completed").inc()
        self._metrics.durable_seconds(method).observe(
            (finished.ended_at - finished.created_at).total_seconds()
        )
        if method in DIRECT:
            self._metrics.bytes(method).inc(work.session.file_size_bytes or 0)
