"""What the guards of one trial measure. ``None`` means that a measure does not apply to the trial."""

from __future__ import annotations

import math

from loadtests.harness.analysis.stats import MIN_UPLOADS, little_mismatch
from loadtests.harness.records.model import LedgerClass, LedgerTable, Question, Trial
from loadtests.harness.records.vocabulary import STORES, service_of

NO_UPLOADS = "none"  # arm of a neighbours trial without uploads
RAW_PUT = "raw-put"
SERVICES = ("gateway", "auth", "upload", "files", "pg-auth", "pg-upload", "pg-files")
EXPECTED_PROCESSES = (*SERVICES, "k6")
OPEN_EXECUTOR = "constant-arrival-rate"
COUNT_EXECUTOR = "per-vu-iterations"
CLOSED_EXECUTOR = "constant-vus"
STEADY_LIMIT = 0.9  # of the half that may be left out; a cut at its end means that nothing is steady


def window_s(trial: Trial) -> float:
    return trial.window_end - trial.window_start


def cpu_s(trial: Trial, name: str) -> float | None:
    """CPU-seconds of one process, or all its replicas, inside the window; None when it was not sampled."""
    found = [use.cpu_s for use in trial.processes if service_of(use.name) == name]
    return sum(found) if found else None


def host_busy(trial: Trial) -> float | None:
    """Share of the host's processors that was busy inside the window."""
    capacity = trial.host_cores * window_s(trial)
    return trial.host_cpu_s / capacity if trial.host_cpu_s is not None and capacity > 0 else None


def uploads_expected(trial: Trial) -> bool:
    """Whether the trial sends uploads whose fate a ledger knows."""
    return trial.plan.arm not in (NO_UPLOADS, RAW_PUT)


def counted_only(trial: Trial) -> bool:
    """Whether the trial is a fixed number of uploads for the ledger, without a rate to measure."""
    return trial.plan.load.executor == "per-vu-iterations"


def k6_share(trial: Trial, _: LedgerTable | None) -> float | None:
    if trial.plan.load.executor == COUNT_EXECUTOR:  # a count is no rate; its window can be one request long
        return None
    used = cpu_s(trial, "k6")
    capacity = trial.k6_cores_allowed * window_s(trial)
    return used / capacity if used is not None and capacity > 0 else None


def dropped(trial: Trial, _: LedgerTable | None) -> float | None:
    return float(trial.k6.dropped_iterations)


def achieved(trial: Trial, _: LedgerTable | None) -> float | None:
    offered = trial.plan.load.rate_per_s
    if trial.plan.load.executor != OPEN_EXECUTOR or not offered or trial.interrupted:
        return None
    # A window cuts an even schedule at both ends: one arrival more or less says nothing.
    return (trial.iterations_per_s + 1 / window_s(trial)) / offered


def exit_code(trial: Trial, _: LedgerTable | None) -> float | None:
    return None if trial.interrupted else float(abs(trial.k6.exit_code))


def missing_samples(trial: Trial, ledger: LedgerTable | None) -> tuple[str, ...]:
    """Names of what every trial must have left behind, and this one did not."""
    sampled = {use.name for use in trial.processes}
    expected = ("k6",) if trial.plan.arm == RAW_PUT else EXPECTED_PROCESSES
    missing = [f"CPU of {name}" for name in expected if name not in sampled]
    if not sampled & {*STORES}:
        missing.append("CPU of the store")
    if trial.host_cpu_s is None:
        missing.append("CPU of the host")
    if uploads_expected(trial):
        missing += _missing_upload_records(trial, ledger)
    return tuple(missing)


def _missing_upload_records(trial: Trial, ledger: LedgerTable | None) -> list[str]:
    if ledger is None:
        return ["ledger"]
    missing = [] if ledger.intents else ["upload intents"]
    if ledger.acks and not trial.uploads_in_window and not trial.interrupted and not counted_only(trial):
        missing.append("verified uploads inside the window")
    only_uploads = trial.plan.load.login_rate_per_s == 0 and trial.plan.load.list_rate_per_s == 0
    if only_uploads and ledger.intents < trial.k6.iterations:
        missing.append(f"{trial.k6.iterations - ledger.intents} intents of counted iterations")
    return missing


def uploads(trial: Trial, _: LedgerTable | None) -> float | None:
    return float(trial.uploads_in_window) if uploads_expected(trial) and not counted_only(trial) else None


def unsteady(trial: Trial, _: LedgerTable | None) -> float | None:
    """How much of the half that may be left out had to be, before goodput was steady."""
    return None if trial.steady_cut_s is None else trial.steady_cut_s / (window_s(trial) / 2)


def has_mean(trial: Trial) -> bool:
    """Whether a trial's goodput may be printed: enough uploads, and a steady state among them."""
    return trial.uploads_in_window >= MIN_UPLOADS and (unsteady(trial, None) or 0.0) <= STEADY_LIMIT


def failed_share(trial: Trial, ledger: LedgerTable | None) -> float | None:
    if ledger is None or not ledger.intents or not uploads_expected(trial):
        return None
    cut_off = ledger.classes.get(LedgerClass.PENDING, 0) + (trial.plan.load.vus or 0)
    return max(0, ledger.intents - ledger.acks - cut_off) / ledger.intents


def label_distance(trial: Trial, _: LedgerTable | None) -> float | None:
    load = trial.plan.load
    if load.executor != CLOSED_EXECUTOR or not load.vus or trial.mean_active_vus is None:
        return None
    if trial.plan.arm == RAW_PUT:
        return None
    return abs(trial.mean_active_vus / load.vus - 1)


def little_client(trial: Trial, _: LedgerTable | None) -> float | None:
    mean_ms = trial.k6.iteration_duration_mean_ms
    if trial.plan.load.executor != CLOSED_EXECUTOR or trial.mean_active_vus is None or mean_ms is None:
        return None
    return little_mismatch(trial.mean_active_vus, trial.iterations_per_s, mean_ms / 1000)


def little_gateway(trial: Trial, _: LedgerTable | None) -> float | None:
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
    return max(0.0, mismatch - 2 / math.sqrt(rate * mean * window_s(trial)))


def rest_share(trial: Trial, _: LedgerTable | None) -> float | None:
    rest = cpu_s(trial, "rest")
    return rest / (trial.host_cores * window_s(trial)) if rest is not None else None


def restarts(trial: Trial, _: LedgerTable | None) -> float | None:
    return float(sum(use.restarted for use in trial.processes))


def restarted_names(trial: Trial, _: LedgerTable | None) -> str:
    return ", ".join(sorted(use.name for use in trial.processes if use.restarted))


def ledger_failed(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(ledger.failed)


def failing_classes(_: Trial, ledger: LedgerTable | None) -> str:
    failing = [LedgerClass.LOST, LedgerClass.CORRUPT, LedgerClass.ORPHAN_ROW, LedgerClass.DUPLICATE]
    counts = {} if ledger is None else {**ledger.classes, **ledger.flags}
    names = [*(str(name) for name in failing), "G-04", "G-09", "G-11"]
    return ", ".join(f"{counts[name]} x {name}" for name in names if counts.get(name)) or "no class named"


def unclassified(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(abs(ledger.intents - sum(ledger.classes.values())))


def bytes_difference(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(abs(ledger.verified_bytes - ledger.stored_bytes))


def pending(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(ledger.classes.get(LedgerClass.PENDING, 0))


def baseline(_: Trial, ledger: LedgerTable | None) -> float | None:
    return None if ledger is None else float(ledger.baseline_files)


def clock_offset(trial: Trial, _: LedgerTable | None) -> float | None:
    return max((abs(offset) for offset in trial.clock_offset_s.values()), default=None)


def slept(trial: Trial, _: LedgerTable | None) -> float | None:
    return (
        trial.plan.load.think_s if trial.plan.question in (Question.CAPACITY, Question.SATURATION) else None
    )


def missing_count(trial: Trial, ledger: LedgerTable | None) -> float | None:
    return float(len(missing_samples(trial, ledger)))


def missing_text(trial: Trial, ledger: LedgerTable | None) -> str:
    return ", ".join(missing_samples(trial, ledger))
