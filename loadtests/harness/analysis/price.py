"""Fourth answer: what one upload costs, by process, in bytes, statements, store requests and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.guards_measures import uploads_expected
from loadtests.harness.analysis.model import Price
from loadtests.harness.records.model import Question, Trial
from loadtests.harness.records.vocabulary import STORES, service_of

SYSTEM = ("gateway", "upload", "files", "pg-upload", "pg-files")  # and the store that runs
JOINTS = ("nginx", "pgbouncer", "redis")  # where a setting asks for them
AUTHENTICATION = ("auth", "pg-auth")
GENERATOR = ("k6",)
# The order in which tables and charts name processes; others follow by name.
PROCESS_ORDER = (*SYSTEM, *STORES, *JOINTS, *AUTHENTICATION, *GENERATOR, "harness", "prometheus", "rest")
EXPORTERS = "exporters"
AUTHENTICATION_DATABASE = "auth_db"


@dataclass(frozen=True, slots=True)
class UploadCpu:
    """CPU-seconds of one verified upload in a trial's window; replicas of a service count together."""

    by_process: dict[str, float]
    system: float | None
    authentication: float | None
    host: float | None


def process_order(name: str) -> tuple[int, str]:
    return (PROCESS_ORDER.index(name) if name in PROCESS_ORDER else len(PROCESS_ORDER) - 1, name)


def exporters_gathered(values: Mapping[str, float]) -> dict[str, float]:
    """The same numbers by process with all exporters as one: apart they are too small to be read."""
    gathered: dict[str, float] = {}
    for name, value in values.items():
        shown = EXPORTERS if name.startswith("exporter-") else name
        gathered[shown] = gathered.get(shown, 0.0) + value
    return gathered


def cpu_per_upload(trial: Trial) -> UploadCpu:
    """Utilisation law: CPU-seconds of the window over its uploads. Nothing without uploads."""
    uploads = trial.uploads_in_window
    if not uploads:
        return UploadCpu({}, None, None, None)
    totals: dict[str, float] = {}
    for use in trial.processes:
        name = service_of(use.name)
        totals[name] = totals.get(name, 0.0) + use.cpu_s
    shares = {name: totals[name] / uploads for name in sorted(totals, key=process_order)}
    stores = [name for name in STORES if name in shares] or [*STORES[:1]]
    joints = [name for name in JOINTS if name in shares]
    return UploadCpu(
        by_process=shares,
        system=_sum(shares, (*SYSTEM, *stores, *joints)),
        authentication=_sum(shares, AUTHENTICATION),
        host=None if trial.host_cpu_s is None else trial.host_cpu_s / uploads,
    )


def _sum(shares: dict[str, float], names: Sequence[str]) -> float | None:
    """The sum of all named processes; absent when one of them was not sampled."""
    return sum(shares[name] for name in names) if all(name in shares for name in names) else None


def prices(facts: Facts) -> tuple[Price, ...]:
    """One price for each arm, from the capacity trials (else from those that ran beside them)."""
    found: list[Price] = []
    for question in (Question.CAPACITY, Question.SINGLE):
        for arm in facts.arms(question):
            if arm not in {price.arm for price in found}:
                found.append(price_of(facts, arm, facts.of(question, arm=arm)))
    return tuple(found)


def price_of(facts: Facts, arm: str, trials: Sequence[Trial]) -> Price:
    costs = [cpu_per_upload(trial) for trial in trials if trial.uploads_in_window]
    names = sorted({name for cost in costs for name in cost.by_process}, key=process_order)
    same_size = trials[0].plan.file_size_bytes == facts.plan.file_size_bytes
    return Price(
        id=f"price.{arm}",
        arm=arm,
        level=trials[0].plan.level,
        cpu_s={name: _mean([cost.by_process.get(name) for cost in costs]) or 0.0 for name in names},
        system_cpu_s=_mean([cost.system for cost in costs]),
        authentication_cpu_s=_mean([cost.authentication for cost in costs]),
        host_cpu_s=_mean([cost.host for cost in costs]),
        gateway_bytes_in=per_payload_byte(facts, trials, lambda trial: trial.counters.gateway_bytes_in),
        gateway_bytes_out=per_payload_byte(facts, trials, lambda trial: trial.counters.gateway_bytes_out),
        statements=per_ack(facts, trials, statements),
        statements_expected=facts.plan.statements_per_upload.get(arm) if same_size else None,
        store_requests=per_ack(facts, trials, store_requests),
        store_requests_expected=facts.plan.store_requests_per_upload.get(arm) if same_size else None,
        peak_rss_bytes=peak_memory(trials),
    )


def statements(trial: Trial) -> float | None:
    """SQL statements of the whole load, authentication apart."""
    counted = trial.counters.statements
    return sum(n for name, n in counted.items() if name != AUTHENTICATION_DATABASE) if counted else None


def store_requests(trial: Trial) -> float | None:
    counted = trial.counters.store_requests
    return sum(counted.values()) if counted else None


def per_ack(facts: Facts, trials: Sequence[Trial], count: Callable[[Trial], float | None]) -> float | None:
    """A counter of the whole load over the uploads acknowledged in it."""
    total, acks = 0.0, 0
    for trial in filter(uploads_expected, trials):
        ledger, value = facts.ledgers.get(trial.plan.trial), count(trial)
        if ledger is None or value is None:
            return None
        total, acks = total + value, acks + ledger.acks
    return total / acks if acks else None


def per_payload_byte(
    facts: Facts, trials: Sequence[Trial], count: Callable[[Trial], float | None]
) -> float | None:
    per_upload = per_ack(facts, trials, count)
    return per_upload / trials[0].plan.file_size_bytes if per_upload is not None else None


def peak_memory(trials: Sequence[Trial]) -> dict[str, int]:
    """The highest resident size of each service over the trials, its processes together."""
    peaks: dict[str, int] = {}
    for trial in trials:
        held: dict[str, int] = {}
        for use in trial.processes:
            if use.peak_rss_bytes is not None:
                name = service_of(use.name)
                held[name] = held.get(name, 0) + use.peak_rss_bytes
        peaks |= {name: max(peaks.get(name, 0), size) for name, size in held.items()}
    return {name: peaks[name] for name in sorted(peaks, key=process_order)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
