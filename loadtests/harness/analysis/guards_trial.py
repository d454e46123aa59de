"""Validity guards of one trial, as data.

A guard measures one number of a trial and compares it with one limit; breaking it yields a warning
that carries the evidence. Guards that need the samples are in
``guards_samples``, those that need several trials in ``guards_run``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from loadtests.harness.analysis import guards_measures as m
from loadtests.harness.analysis.stats import MIN_UPLOADS
from loadtests.harness.records.model import LedgerTable, Severity, Trial, Validity, Warn

Measure = Callable[[Trial, LedgerTable | None], float | None]
Describe = Callable[[Trial, LedgerTable | None], str]


@dataclass(frozen=True, slots=True)
class Guard:
    """``measure`` gives None where the guard does not apply; ``rule`` names what it protects."""

    code: str
    rule: str
    metric: str
    severity: Severity
    side: Literal["above", "below"]
    limit: float
    message: str
    advice: str
    measure: Measure
    describe: Describe | None = None

    def check(self, trial: Trial, ledger: LedgerTable | None) -> Warn | None:
        value = self.measure(trial, ledger)
        if value is None or not (value > self.limit if self.side == "above" else value < self.limit):
            return None
        detail = self.describe(trial, ledger) if self.describe else ""
        return Warn(
            code=self.code,
            severity=self.severity,
            message=spaced_percent(self.message.format(value=value, limit=self.limit, detail=detail)),
            metric=self.metric,
            value=round(value, 6),
            limit=self.limit,
            advice=self.advice,
            trial=trial.plan.trial,
        )


def spaced_percent(text: str) -> str:
    """ "99 %" for the "99%" that number formats give, as everywhere else in the reports."""
    return re.sub(r"(?<=\d)%", " %", text)


def judge_trial(trial: Trial, ledger: LedgerTable | None) -> tuple[Warn, ...]:
    """Every guard broken by one trial. ``ledger`` is absent only where nothing was reconciled.

    An interrupted trial has no window worth judging; what was acknowledged in it must be there all the same.
    """
    broken: dict[tuple[str, str], Warn] = {}
    for guard in GUARDS:  # of two limits on one metric the stricter consequence comes first and stands
        if trial.interrupted and guard.code not in AUDIT_CODES:
            continue
        warn = guard.check(trial, ledger)
        if warn:
            broken.setdefault((guard.code, guard.metric), warn)
    return tuple(broken.values())


def validity(warns: Iterable[Warn]) -> Validity:
    severities = {warn.severity for warn in warns}
    if Severity.INVALID in severities:
        return Validity.INVALID
    return Validity.CAUTIONS if Severity.CAUTION in severities else Validity.VALID


AUDIT_CODES = frozenset({"ledger-mismatch", "bytes-mismatch"})
_INVALID, _CAUTION = Severity.INVALID, Severity.CAUTION
_LESS_LOAD = "ask for less load, or run k6 on processors of its own"
_READ_LEDGER = "read the offending rows in the ledger of this trial"

# fmt: off
GUARDS: tuple[Guard, ...] = (
    Guard("ledger-mismatch", "MR-03", "failing ledger classes", _INVALID, "above", 0,
          "the audit of this trial failed: {detail}", _READ_LEDGER, m.ledger_failed, m.failing_classes),
    Guard("ledger-mismatch", "MR-20", "intents without a class", _INVALID, "above", 0,
          "{value:.0f} intents belong to no class of the ledger", _READ_LEDGER, m.unclassified),
    Guard("bytes-mismatch", "MR-20", "bytes verified but not stored", _INVALID, "above", 0,
          "the store holds {value:.0f} bytes more or fewer than the verified uploads have",
          _READ_LEDGER, m.bytes_difference),
    Guard("restart-during-run", "MR-18", "restarted processes", _INVALID, "above", 0,
          "restarted inside the window: {detail}", "read the log of the restarted process",
          m.restarts, m.restarted_names),
    Guard("missing-samples", "MR-21", "expected samples absent", _INVALID, "above", 0,
          "expected and absent: {detail}", "check that every part is up and its metrics answer",
          m.missing_count, m.missing_text),
    Guard("generator-failed", "MR-21", "exit code of k6", _INVALID, "above", 0,
          "k6 ended with code {value:.0f}", "read k6's log of this trial", m.exit_code),
    Guard("generator-limited", "MR-21", "share of k6's processors in use", _INVALID, "above", 0.80,
          "k6 used {value:.0%} of the processors it may use (limit {limit:.0%}): it may be what was measured",
          _LESS_LOAD, m.k6_share),
    Guard("generator-limited", "MR-08", "dropped iterations", _INVALID, "above", 0,
          "k6 dropped {value:.0f} iterations that were due", _LESS_LOAD, m.dropped),
    Guard("offered-rate-missed", "MR-08", "achieved over offered rate", _INVALID, "below", 0.99,
          "only {value:.1%} of the offered uploads were started", _LESS_LOAD, m.achieved),
    Guard("label-mismatch", "MR-04", "distance of measured from configured VUs", _INVALID, "above", 0.05,
          "the measured concurrency is {value:.1%} off the label (limit {limit:.0%})",
          "give the load a longer warm-up, or choose another level", m.label_distance),
    Guard("little-mismatch", "MR-19", "active VUs against rate x time", _INVALID, "above", 0.25,
          "active VUs and rate x iteration time differ by {value:.0%}: the counts contradict each other",
          "check that the window holds no pause", m.little_client),
    Guard("little-mismatch", "MR-19", "active VUs against rate x time", _CAUTION, "above", 0.10,
          "active VUs and rate x iteration time differ by {value:.0%} (limit {limit:.0%})",
          "give the load a longer warm-up", m.little_client),
    Guard("little-mismatch", "MR-19", "gateway in flight against rate x latency", _CAUTION, "above", 0.10,
          "requests in flight and rate x latency at the gateway differ by {value:.0%} beyond sampling error",
          "give the load a longer window", m.little_gateway),
    Guard("no-steady-state", "MR-16", "share of the first half before goodput was steady", _INVALID, "above",
          m.STEADY_LIMIT, "goodput was not steady in any part of the window looked at: it has no mean",
          "give the load a longer warm-up, and find what changes while it runs", m.unsteady),
    Guard("script-set-rate", "MR-07", "seconds slept per iteration", _CAUTION, "above", 0,
          "the script sleeps {value:g} s in every iteration: it sets the rate, not the system",
          "remove the think time for a question about capacity", m.slept),
    Guard("upload-errors", "MR-03", "share of failed uploads", _CAUTION, "above", 0.01,
          "{value:.1%} of the uploads failed", "read the failures by step in the ledger", m.failed_share),
    Guard("low-samples", "MR-11", "uploads in the window", _CAUTION, "below", MIN_UPLOADS,
          "only {value:.0f} uploads fell into the window ({limit:.0f} are needed to print their rate)",
          "use a longer window or a smaller file", m.uploads),
    Guard("noisy-host", "MR-22", "share of the host used by other programs", _CAUTION, "above", 0.10,
          "other programs used {value:.0%} of the processors (limit {limit:.0%})",
          "close other programs and run again", m.rest_share),
    Guard("settle-cut", "MR-18", "uploads still in progress", _CAUTION, "above", 0,
          "{value:.0f} uploads still progressed when settling ended", "use a profile that settles longer",
          m.pending),
    Guard("dirty-start", "MR-18", "files of other users", _CAUTION, "above", 0,
          "{value:.0f} files of other users were there before", "delete them with CLEAN=1", m.baseline),
    Guard("clock-offset", "MR-05", "clock offset in seconds", _CAUTION, "above", 0.05,
          "a database's clock is {value:.3f} s off the harness's; times were corrected by it",
          "keep the clocks of all hosts in step", m.clock_offset),
)
# fmt: on
