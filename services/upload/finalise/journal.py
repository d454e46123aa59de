"""Who remembers how far a finalisation is: a stored job with a lease, or nobody."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from services.upload.finalise.outcome import Ending, LeaseLostError
from services.upload.model import Made, State, Work
from services.upload.repository.jobs import Finished, Held


class Journal(Protocol):
    """Every method raises ``LeaseLostError`` when the work is no longer this process's."""

    leased: bool

    async def step(self, work: Work) -> None:
        """Remember ``work``'s step before it is done."""

    async def finish(self, work: Work, made: Made) -> Finished:
        """The upload is durable."""

    async def retry(self, work: Work, code: str, message: str) -> Ending:
        """The attempt failed: what happens next."""

    async def fail(self, work: Work, code: str, message: str) -> None: ...

    async def reopen(self, work: Work, state: State, code: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts: ``first_s``, doubled each time, each up to a tenth longer or shorter.

    Ten attempts from 2 s reach over 15 minutes: 2 + 4 + ... + 512 s = 1,022 s, at least 920 s.
    """

    attempts: int
    first_s: float
    rng: random.Random

    def pause(self, attempt: int) -> timedelta | None:
        """After attempt number ``attempt`` (from 1); None when it was the last."""
        if attempt >= self.attempts:
            return None
        return timedelta(seconds=self.first_s * 2 ** (attempt - 1) * self.rng.uniform(0.9, 1.1))


def _held(held: bool) -> None:
    if not held:
        raise LeaseLostError


def _finished(finished: Finished | None) -> Finished:
    if finished is None:
        raise LeaseLostError
    return finished


class LeasedJournal:
    """The stored job.

    Args:
        held: writes as this process.
    """

    leased = True

    def __init__(self, held: Held, backoff: Backoff) -> None:
        self._held, self._backoff = held, backoff

    async def step(self, work: Work) -> None:
        _held(await self._held.step(work))

    async def finish(self, work: Work, made: Made) -> Finished:
        return _finished(await self._held.finish(work, made))

    async def retry(self, work: Work, code: str, message: str) -> Ending:
        pause = self._backoff.pause(work.attempts)
        if pause is None:
            await self.fail(work, code, message)
            return Ending.FAILED
        _held(await self._held.retry(work, code, message, pause))
        return Ending.RETRYING

    async def fail(self, work: Work, code: str, message: str) -> None:
        _held(await self._held.fail(work, code, message))

    async def reopen(self, work: Work, state: State, code: str, message: str) -> None:
        _held(await self._held.reopen(work, state, code, message))


class DetachedJournal:
    """No lease: one attempt, and nobody goes on with what a killed process began. Steps are recorded for
    the resend that starts a failed one anew. An experiment's arm, not a default.

    Args:
        held: writes as nobody.
    """

    leased = False

    def __init__(self, held: Held) -> None:
        self._held = held

    async def step(self, work: Work) -> None:
        _held(await self._held.step(work))

    async def finish(self, work: Work, made: Made) -> Finished:
        return _finished(await self._held.finish(work, made))

    async def retry(self, work: Work, code: str, message: str) -> Ending:
        await self.fail(work, code, message)
        return Ending.FAILED

    async def fail(self, work: Work, code: str, message: str) -> None:
        _held(await self._held.fail(work, code, message))

    async def reopen(self, work: Work, state: State, code: str, message: str) -> None:
        raise LookupError("only proxied uploads are detached, and those are never reopened")
