"""``FINALISE``: what the answer to the last chunk means.

``inline``: durable. ``queued``: all bytes are stored and a job is too. ``detached``: all bytes are
stored, and a task of this process, that nothing resumes, will see to the rest.
"""

from __future__ import annotations

from typing import Protocol

from services.upload.finalise.journal import Journal
from services.upload.finalise.worker import Finaliser
from services.upload.metrics import Metrics
from services.upload.model import State, Work


class FinaliseMode(Protocol):
    """One value of ``FINALISE``."""

    @property
    def journal(self) -> Journal:
        """Who remembers the finalisation."""

    async def after_accept(self, work: Work) -> State:
        """The upload's state to answer the chunk that made it complete.

        Raises:
            Fault: it is not durable yet, and the answer should have meant that.
        """


class Inline:
    def __init__(self, finaliser: Finaliser, journal: Journal) -> None:
        self._finaliser, self.journal = finaliser, journal

    async def after_accept(self, work: Work) -> State:
        self._finaliser.start(work, self.journal)
        await self._finaliser.join(work.session.id)
        return State.COMPLETED


class Early:
    """``queued`` with the stored job's journal, ``detached`` with the one that remembers nothing."""

    def __init__(self, finaliser: Finaliser, journal: Journal, metrics: Metrics) -> None:
        self._finaliser, self.journal, self._metrics = finaliser, journal, metrics

    async def after_accept(self, work: Work) -> State:
        self._finaliser.start(work, self.journal, apart=True)
        self._metrics.early_acks.inc()
        return State.ASSEMBLING
