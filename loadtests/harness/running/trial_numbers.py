"""Numbers of one trial from its samples: pure functions over records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.harness.analysis.stats import STEADY_BINS, steady_from
from loadtests.harness.records.model import Intent, LedgerClass, Outcome, StepSample, UploadSample


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a trial that counts, in seconds since the epoch."""

    start: float
    end: float

    @property
    def length_s(self) -> float:
        return self.end - self.start

    def holds(self, at: float | None) -> bool:
        return at is not None and self.start <= at < self.end

    def overlap_s(self, begin: float, end: float) -> float:
        return max(0.0, min(end, self.end) - max(begin, self.start))


def mean_active(
    window: Window, intents: Iterable[Intent], outcomes: Iterable[Outcome], steps: Iterable[StepSample]
) -> float | None:
    """Mean number of iterations open inside the window.

    An iteration without an outcome was open to the window's end. ``steps`` are requests that belong to
    iterations but lie outside their uploads (a login in each iteration).
    """
    if window.length_s <= 0:
        return None
    ends = {outcome.upload_ref: outcome.ended_at for outcome in outcomes}
    busy_s = sum(window.overlap_s(i.at, ends.get(i.upload_ref, window.end)) for i in intents)
    busy_s += sum(window.overlap_s(s.started_at, s.started_at + s.duration_ms / 1000) for s in steps)
    return busy_s / window.length_s


STEADY_HOLD_S = 60.0  # shorter windows are fixed; their trend is a caution


def steady_cut_s(window: Window, durable_at: Iterable[float | None]) -> float | None:
    """Seconds to leave out at a long window's start, before goodput was steady; None for a short one."""
    if window.length_s < STEADY_HOLD_S - 1:  # a window may end a moment early
        return None
    times = [at for at in durable_at if at is not None]
    counts, _ = np.histogram(times, bins=STEADY_BINS, range=(window.start, window.end))
    share = steady_from(counts.tolist())
    return None if share is None else share * window.length_s


def verified_in(window: Window, samples: Iterable[UploadSample]) -> list[UploadSample]:
    """Uploads that count for goodput: verified, and durable inside the window."""
    return [s for s in samples if s.ledger is LedgerClass.VERIFIED and window.holds(s.durable_at)]


def started_per_s(window: Window, intents: Iterable[Intent]) -> float:
    """Iterations begun per second inside the window."""
    return _rate(window, sum(window.holds(intent.at) for intent in intents))


def steps_ended(window: Window, steps: Sequence[StepSample]) -> list[StepSample]:
    """Successful timed requests answered inside the window."""
    return [s for s in steps if s.ok and window.holds(s.started_at + s.duration_ms / 1000)]


def _rate(window: Window, count: int) -> float:
    return count / window.length_s if window.length_s > 0 else 0.0
