"""From what a trial saw to its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loadtests.harness.analysis.guards_trial import judge_trial, validity
from loadtests.harness.auditing.ledger_records import Console
from loadtests.harness.records.model import (
    Counters,
    K6Summary,
    LedgerTable,
    MonitorSample,
    ProcessUse,
    Question,
    StepSample,
    Trial,
    TrialPlan,
    UploadSample,
    Validity,
    Warn,
)
from loadtests.harness.running import trial_numbers
from loadtests.harness.running.affinity import Cores
from loadtests.harness.running.counters import Scrape
from loadtests.harness.running.observe import mean_in_flight
from loadtests.harness.running.trial_numbers import Window
from loadtests.harness.testbeds.processes import Snapshot


@dataclass(slots=True)
class Course:
    """What is learnt while the load runs."""

    load_started_at: float = 0.0
    window: Window = field(default_factory=lambda: Window(0.0, 0.0))
    begin: Snapshot = field(default_factory=lambda: Snapshot(0.0, 0.0))
    end: Snapshot = field(default_factory=lambda: Snapshot(0.0, 0.0))
    gateway: tuple[Scrape | None, Scrape | None] = (None, None)
    exit_code: int = 0
    load_ended_at: float = 0.0


@dataclass(slots=True)
class Evidence:
    """What the console, the summary and the audit of one trial yielded."""

    console: Console
    summary: K6Summary
    steps: tuple[StepSample, ...]
    settled_at: float
    table: LedgerTable | None = None
    samples: tuple[UploadSample, ...] = ()
    warnings: tuple[Warn, ...] = ()
    clock_offset_s: dict[str, float] = field(default_factory=dict)


def make_trial(
    plan: TrialPlan,
    *,
    course: Course,
    evidence: Evidence,
    processes: tuple[ProcessUse, ...],
    counters: Counters,
    monitor: list[MonitorSample],
    config: dict[str, str],
    started_at: float,
    ended_at: float,
    cores: Cores,
    interrupted: bool,
) -> Trial:
    """The record of one trial, judged by the guards."""
    trial = Trial(
        plan=plan,
        started_at=started_at,
        load_started_at=course.load_started_at,
        window_start=course.window.start,
        window_end=course.window.end,
        load_ended_at=course.load_ended_at,
        settled_at=evidence.settled_at,
        ended_at=ended_at,
        k6=evidence.summary.model_copy(update={"exit_code": course.exit_code}),
        processes=processes,
        host_cpu_s=course.end.host_busy_s - course.begin.host_busy_s,
        host_cores=float(len(cores.all)),
        k6_cores_allowed=float(len(cores.generator)),
        counters=counters,
        validity=Validity.VALID,
        interrupted=interrupted,
        clock_offset_s=evidence.clock_offset_s,
        config=config,
        **_flow(plan, course, evidence, monitor),
    )
    warnings = (*evidence.warnings, *judge_trial(trial, evidence.table))
    return trial.model_copy(update={"warnings": warnings, "validity": validity(warnings)})


def _flow(
    plan: TrialPlan, course: Course, evidence: Evidence, monitor: list[MonitorSample]
) -> dict[str, Any]:
    """What flowed inside the window: the members of the record that are rates and means."""
    window, raw = course.window, plan.question is Question.RAW
    good = _counted(window, evidence, raw=raw)
    cut_s = _steady_cut_s(plan, window, evidence)
    steady = Window(window.start + (cut_s or 0.0), window.end)
    counted = good if not cut_s else _counted(steady, evidence, raw=raw)
    goodput = counted / steady.length_s if steady.length_s > 0 else 0.0
    rate, latency_s = gateway_flow(course)
    return {
        "mean_active_vus": mean_active(window, plan, evidence),
        "mean_gateway_in_flight": mean_in_flight(monitor, window.start, window.end),
        "gateway_rate_per_s": rate,
        "gateway_mean_latency_s": latency_s,
        "uploads_in_window": good,
        "steady_cut_s": cut_s,
        "goodput_per_s": goodput,
        "goodput_bytes_per_s": goodput * plan.file_size_bytes,
        "iterations_per_s": started_per_s(window, evidence, raw=raw),
    }


def _steady_cut_s(plan: TrialPlan, window: Window, evidence: Evidence) -> float | None:
    """Only a hold can be steady: a shape of stages and a count of uploads are none."""
    if plan.load.executor not in ("constant-vus", "constant-arrival-rate") or plan.question is Question.RAW:
        return None
    durable = [sample.durable_at for sample in trial_numbers.verified_in(window, evidence.samples)]
    return trial_numbers.steady_cut_s(window, durable) if durable else None


def _counted(window: trial_numbers.Window, evidence: Evidence, *, raw: bool) -> int:
    """Verified uploads of the window; for raw PUTs, PUTs that were answered in it."""
    if raw:
        return len(trial_numbers.steps_ended(window, evidence.console.steps))
    return len(trial_numbers.verified_in(window, evidence.samples))


def started_per_s(window: trial_numbers.Window, evidence: Evidence, *, raw: bool) -> float:
    """Upload iterations started per second of the window; for raw PUTs, PUTs."""
    if not raw:
        return trial_numbers.started_per_s(window, evidence.console.intents)
    begun = sum(window.holds(step.started_at) for step in evidence.console.steps)
    return begun / window.length_s if window.length_s > 0 else 0.0


def mean_active(window: trial_numbers.Window, plan: TrialPlan, evidence: Evidence) -> float | None:
    """Mean iterations open; requests outside uploads count where they belong to the iterations."""
    console = evidence.console
    inside = plan.load.login_each or plan.question in (Question.RAW, Question.JOURNEY)
    return trial_numbers.mean_active(
        window, console.intents, console.outcomes, console.steps if inside else ()
    )


def gateway_flow(course: Course) -> tuple[float | None, float | None]:
    """The gateway's own rate and mean latency inside the window."""
    before, after = course.gateway
    if before is None or after is None or course.window.length_s <= 0:
        return None, None
    change = after - before
    count = change.total("http_request_duration_seconds_count")
    if count <= 0:
        return 0.0, None
    mean_s = change.total("http_request_duration_seconds_sum") / count
    return count / course.window.length_s, mean_s
