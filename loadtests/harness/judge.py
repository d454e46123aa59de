"""Validity guards of one trial, as data.

A guard measures one number of a trial and compares it with one limit; breaking it yields a warning
that carries the evidence. Guards that need the samples or several trials are in ``judge_run``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from loadtests.harness.model import LedgerClass, LedgerTable, Question, Severity, Trial, Validity, Warn
from loadtests.harness.stats import MIN_UPLOADS, little_mismatch

NO_UPLOADS = "none"  # arm of a neighbours trial without uploads
RAW_PUT = "raw-put"
SERVICES = ("gateway", "auth", "upload", "files", "pg-auth", "pg-upload", "pg-files")
EXPECTED_PROCESSES = (*SERVICES, "minio", "k6")
OPEN_EXECUTOR = "constant-arrival-rate"
CLOSED_EXECUTOR = "constant-vus"

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
            message=self.message.format(value=value, limit=self.limit, detail=detail),
            metric=self.metric,
            value=round(value, 6),
            limit=self.limit,
            advice=self.advice,
            trial=trial.plan.trial,
        )


def judge_trial(trial: Trial, ledger: LedgerTable | None) -> tuple[Warn, ...]:
    """Every guard broken by one trial. ``ledger`` is absent only where nothing was reconciled."""
    return tuple(warn for guard in GUARDS if (warn := guard.check(trial, ledger)))


def validity(warns: Iterable[Warn]) -> Validity:
    severities = {warn.severity for warn in warns}
    if Severity.INVALID in severities:
        return Validity.INVALID
    return Validity.CAUTIONS if Severity.CAUTION in severities else Validity.VALID


def window_s(trial: Trial) -> float:
    return trial.window_end - trial.window_start


def cpu_s(trial: Trial, name: str) -> float | None:
    """CPU-seconds of one process inside the window, or None when it was not sampled."""
    found = [use.cpu_s for use in trial.processes if use.name == name]
    return sum(found) if found else None


def host_busy(trial: Trial) -> float | None:
    """Share of the host's processors that was busy inside the window."""
    capacity = trial.host_cores * window_s(trial)
    return trial.host_cpu_s / capacity if trial.host_cpu_s is not None and capacity > 0 else None


def uploads_expected(trial: Trial) -> bool:
    """Whether the trial sends uploads whose fate a ledger knows."""
    return trial.plan.arm not in (NO_UPLOADS, RAW_PUT)


def _k6_share(trial: Trial, _: LedgerTable | None) -> float | None:
    used = cpu_s(trial, "k6")
    capacity = trial.k6_cores_allowed * window_s(trial)
    return used / capacity if used is not None and capacity > 0 else None


def _dropped(trial: Trial, _: LedgerTable | None) -> float | None:
    return float(trial.k6.dropped_iterations)


def _achieved(trial: Trial, _: LedgerTable | None) -> float | None:
    offered = trial.plan.load.rate_per_s
    if trial.plan.load.executor != OPEN_EXECUTOR or not offered or trial.interrupted:
        return None
    # A window cuts an even schedule at both ends: one arrival more or less says nothing.
    return (trial.iterations_per_s + 1 / window_s(trial)) / offered


def _exit_code(trial: Trial, _: LedgerTable | None) -> float | None:
    return None if trial.interrupted else float(abs(trial.k6.exit_code))


def missing_samples(trial: Trial, ledger: LedgerTable | None) -> tuple[str, ...]:
    """Names of what every trial must have left behind, and this one did not."""
    sampled = {use.name for use in trial.processes}
    expected = ("minio", "k6") if trial.plan.arm == RAW_PUT else EXPECTED_PROCESSES
    missing = [f"CPU of {name}" for name in expected if name not in sampled]
    if trial.host_cpu_s is None:
        missing.append("CPU of the host")
    if uploads_expected(trial):
        missing += _missing_upload_records(trial, ledger)
    return tuple(missing)


def _missing_upload_records(trial: Trial, ledger: LedgerTable | None) -> list[str]:
    if ledger is None:
        return ["ledger"]
    missing = [] if ledger.intents else ["upload intents"]
    if ledger.acks and not trial.uploads_in_window and not trial.interrupted:
        missing.append("verified uploads inside the window")
    only_uploads = trial.plan.load.login_rate_per_s == 0 and trial.plan.load.list_rate_per_s == 0
    if only_uploads and ledger.intents < trial.k6.iterations:
        missing.append(f"{trial.k6.iterations - ledger.intents} intents of counted iterations")
    return missing


def _uploads(trial: Trial, _: LedgerTable | None) -> float | None:
    return float(trial.uploads_in_window) if uploads_expected(trial) else None


def _failed_share(trial: Trial, ledger: LedgerTable | None) -> float | None:
    if ledger is None or not ledger.intents or not uploads_expected(trial):
        return None
    cut_off = ledger.classes.get(LedgerClass.PENDING, 0) + (trial.plan.load.vus or 0)
    return max(0, ledger.intents - ledger.acks - cut_off) / ledger.intents


def _label_distance(trial: Trial, _: LedgerTable | None) -> float | None:
    load = trial.plan.load
    if load.executor != CLOSED_EXECUTOR or not load.vus or trial.mean_active_vus is None:
        return None
    if trial.plan.arm == RAW_PUT:
        return None
    return abs(trial.mean_active_vus / load.vus - 1)


def _little_client(trial: Trial, _: LedgerTable | None) -> float | None:
    mean_ms = trial.k6.iteration_duration_mean_ms
    if trial.plan.load.executor != CLOSED_EXECUTOR or trial.mean_active_vus is None or mean_ms is None:
        return None
    return little_mismatch(trial.mean_active_vus, trial.iterations_per_s, mean_ms / 1000)


def _little_gateway(trial: Trial, _: LedgerTable | None) -> float | None:
    """Mismatch beyond twice the sampling error of a gauge that is read once a second."""
    in_flight, rate, mean = (
        trial.mean_gateway_in_flight,
        trial.gateway_rate_per_s,
        trial.gateway_mean_latency_s,
    )
    if in_flight is None or rate is None or mean is None or rate * mean < 1:
        return None
    mismatch = little_mismatch(in_flight, rate, mean)
    if mismatch is None:
        return None
    return max(0.0, mismatch - 2 / (rate * mean * window_s(trial)) ** 0.5)


def _rest_share(trial: Trial, _: LedgerTable | None) -> float | None:
    rest = cpu_s(trial, "rest")
    return rest / (trial.host_cores * window_s(trial)) if rest is not None else None


def _restarts(trial: Trial, _: LedgerTable | None) -> float | None:
    return float(sum(use.restarted for use in trial.processes))


def _restarted_names(trial: Trial, _: LedgerTable | None) -> str:
    return ", ".join(sorted(use.name for use in trial.processes if use.restarted))


def _ledger_failed(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(ledger.failed)


def _failing_classes(_: Trial, ledger: LedgerTable | None) -> str:
    failing = [LedgerClass.LOST, LedgerClass.CORRUPT, LedgerClass.ORPHAN_ROW, LedgerClass.DUPLICATE]
    counts = {} if ledger is None else {**ledger.classes, **ledger.flags}
    names = [*(str(name) for name in failing), "G-04", "G-09", "G-11"]
    return ", ".join(f"{counts[name]} x {name}" for name in names if counts.get(name)) or "no class named"


def _unclassified(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(abs(ledger.intents - sum(ledger.classes.values())))


def _bytes_difference(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(abs(ledger.verified_bytes - ledger.stored_bytes))


def _pending(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(ledger.classes.get(LedgerClass.PENDING, 0))


def _baseline(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(ledger.baseline_files)


def _clock_offset(trial: Trial, _: LedgerTable | None) -> float | None:
    return max((abs(offset) for offset in trial.clock_offset_s.values()), default=None)


def _slept(trial: Trial, _: LedgerTable | None) -> float | None:
    return (
        trial.plan.load.think_s if trial.plan.question in (Question.CAPACITY, Question.SATURATION) else None
    )


def _missing_count(trial: Trial, ledger: LedgerTable | None) -> float | None:
    return float(len(missing_samples(trial, ledger)))


def _missing_text(trial: Trial, ledger: LedgerTable | None) -> str:
    return ", ".join(missing_samples(trial, ledger))


_INVALID, _CAUTION = Severity.INVALID, Severity.CAUTION
_LESS_LOAD = "ask for less load, or run k6 on processors of its own"
_READ_LEDGER = "read the offending rows in the ledger of this trial"

# fmt: off
GUARDS: tuple[Guard, ...] = (
    Guard("ledger-mismatch", "MR-03", "failing ledger classes", _INVALID, "above", 0,
          "the audit of this trial failed: {detail}", _READ_LEDGER, _ledger_failed, _failing_classes),
    Guard("ledger-mismatch", "MR-20", "intents without a class", _INVALID, "above", 0,
          "{value:.0f} intents belong to no class of the ledger", _READ_LEDGER, _unclassified),
    Guard("bytes-mismatch", "MR-20", "bytes verified but not stored", _INVALID, "above", 0,
          "the store holds {value:.0f} bytes more or fewer than the verified uploads have",
          _READ_LEDGER, _bytes_difference),
    Guard("restart-during-run", "MR-18", "restarted processes", _INVALID, "above", 0,
          "restarted inside the window: {detail}", "read the log of the restarted process",
          _restarts, _restarted_names),
    Guard("missing-samples", "MR-21", "expected samples absent", _INVALID, "above", 0,
          "expected and absent: {detail}", "check that every part is up and its metrics answer",
          _missing_count, _missing_text),
    Guard("generator-failed", "MR-21", "exit code of k6", _INVALID, "above", 0,
          "k6 ended with code {value:.0f}", "read k6's log of this trial", _exit_code),
    Guard("generator-limited", "MR-21", "share of k6's processors in use", _INVALID, "above", 0.80,
          "k6 used {value:.0%} of the processors it may use (limit {limit:.0%}): it may be what was measured",
          _LESS_LOAD, _k6_share),
    Guard("generator-limited", "MR-08", "dropped iterations", _INVALID, "above", 0,
          "k6 dropped {value:.0f} iterations that were due", _LESS_LOAD, _dropped),
    Guard("offered-rate-missed", "MR-08", "achieved over offered rate", _INVALID, "below", 0.99,
          "only {value:.1%} of the offered uploads were started", _LESS_LOAD, _achieved),
    Guard("label-mismatch", "MR-04", "distance of measured from configured VUs", _INVALID, "above", 0.05,
          "the measured concurrency is {value:.1%} off the label (limit {limit:.0%})",
          "give the load a longer warm-up, or choose another level", _label_distance),
    Guard("little-mismatch", "MR-19", "active VUs against rate x time", _INVALID, "above", 0.25,
          "active VUs and rate x iteration time differ by {value:.0%}: the counts contradict each other",
          "check that the window holds no pause", _little_client),
    Guard("little-mismatch", "MR-19", "VUs against rate x time", _CAUTION, "above", 0.10,
          "active VUs and rate x iteration time differ by {value:.0%} (limit {limit:.0%})",
          "give the load a longer warm-up", _little_client),
    Guard("little-mismatch", "MR-19", "gateway in flight against rate x latency", _CAUTION, "above", 0.10,
          "requests in flight and rate x latency at the gateway differ by {value:.0%} beyond sampling error",
          "give the load a longer window", _little_gateway),
    Guard("script-set-rate", "MR-07", "seconds slept per iteration", _CAUTION, "above", 0,
          "the script sleeps {value:g} s in every iteration: it sets the rate, not the system",
          "remove the think time for a question about capacity", _slept),
    Guard("upload-errors", "MR-03", "share of failed uploads", _CAUTION, "above", 0.01,
          "{value:.1%} of the uploads failed", "read the failures by step in the ledger", _failed_share),
    Guard("low-samples", "MR-11", "uploads in the window", _CAUTION, "below", MIN_UPLOADS,
          "only {value:.0f} uploads fell into the window ({limit:.0f} are needed to print their rate)",
          "use a longer window or a smaller file", _uploads),
    Guard("noisy-host", "MR-22", "share of the host used by other programs", _CAUTION, "above", 0.10,
          "other programs used {value:.0%} of the processors (limit {limit:.0%})",
          "close other programs and run again", _rest_share),
    Guard("settle-cut", "MR-18", "uploads still in progress", _CAUTION, "above", 0,
          "{value:.0f} uploads still progressed when settling ended", "use a profile that settles longer",
          _pending),
    Guard("dirty-start", "MR-18", "files of other users", _CAUTION, "above", 0,
          "{value:.0f} files of other users were there before", "delete them with CLEAN=1", _baseline),
    Guard("clock-offset", "MR-05", "clock offset in seconds", _CAUTION, "above", 0.05,
          "a database's clock is {value:.3f} s off the harness's; times were corrected by it",
          "keep the clocks of all hosts in step", _clock_offset),
)
# fmt: on
