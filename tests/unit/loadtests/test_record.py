"""From what a trial saw to its record: rates of the window, and the guards' judgement."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.harness.counters import parse
from loadtests.harness.ledger.evidence import Console
from loadtests.harness.records.model import (
    Counters,
    Intent,
    K6Summary,
    LedgerClass,
    Load,
    Outcome,
    ProcessUse,
    Question,
    StepSample,
    Trial,
    TrialPlan,
    UploadSample,
    Validity,
)
from loadtests.harness.running.affinity import split
from loadtests.harness.running.runner import control_failed, ramp_end
from loadtests.harness.running.trial_numbers import Window
from loadtests.harness.running.trial_record import Course, Evidence, make_trial
from loadtests.harness.testbeds.processes import Snapshot

pytestmark = pytest.mark.unit

SUMMARY = K6Summary(
    iterations=100,
    dropped_iterations=0,
    http_reqs=200,
    exit_code=0,
)
GATEWAY = """
http_request_duration_seconds_count{{method="POST",path="/x"}} {count}
http_request_duration_seconds_sum{{method="POST",path="/x"}} {total}
"""


def plan(question: Question, arm: str) -> TrialPlan:
    load = Load(executor="constant-vus", vus=4, warmup_s=2, window_s=10)
    return TrialPlan(
        trial="t001", question=question, arm=arm, file_size_bytes=1000, load=load, seed=1, level="4 VU"
    )


def record(question: Question, arm: str, evidence: Evidence, *, exit_code: int = 0) -> Trial:
    course = Course(
        load_started_at=98.0,
        window=Window(100.0, 110.0),
        begin=Snapshot(100.0, 50.0),
        end=Snapshot(110.0, 58.0),
        gateway=(parse(GATEWAY.format(count=10, total=1)), parse(GATEWAY.format(count=60, total=6))),
        exit_code=exit_code,
        load_ended_at=111.0,
    )
    return make_trial(
        plan(question, arm), course=course, evidence=evidence,
        processes=(ProcessUse(name="k6", cpu_s=1.0),), counters=Counters(), monitor=[],
        config={"strategy": arm}, started_at=90.0, ended_at=112.0, cores=split(range(2)), interrupted=False,
    )  # fmt: skip


def uploads(count: int) -> Evidence:
    """``count`` uploads of one second, one after the other from the window's start."""
    intents, outcomes, samples = [], [], []
    for number in range(count):
        ref, at = f"r{number}", 100.0 + number
        facts: dict[str, Any] = {
            "upload_ref": ref, "trial": "t001", "strategy": "s", "user_id": "u", "size_bytes": 1000,
        }  # fmt: skip
        intents.append(Intent(**facts, sha256="0", at=at))
        outcomes.append(Outcome(upload_ref=ref, acked=True, started_at=at, ended_at=at + 1))
        samples.append(
            UploadSample(**facts, sha256="0", intent_at=at, ledger=LedgerClass.VERIFIED, durable_at=at + 0.9)
        )
    console = Console(tuple(intents), tuple(outcomes))
    return Evidence(console, SUMMARY, (), settled_at=111.5, samples=tuple(samples))


def test_uploads_of_the_window_become_goodput() -> None:
    trial = record(Question.CAPACITY, "proxy-chunked", uploads(12))
    assert trial.uploads_in_window == 10
    assert trial.goodput_per_s == 1.0
    assert trial.goodput_bytes_per_s == 1000.0
    assert trial.iterations_per_s == 1.0
    assert trial.mean_active_vus == pytest.approx(1.0)
    assert trial.gateway_rate_per_s == 5.0
    assert trial.gateway_mean_latency_s == pytest.approx(0.1)
    assert trial.host_cpu_s == 8.0


def test_a_trial_is_judged_as_it_is_recorded() -> None:
    trial = record(Question.CAPACITY, "proxy-chunked", uploads(12), exit_code=107)
    assert trial.validity is Validity.INVALID
    assert {"generator-failed", "label-mismatch"} <= {warn.code for warn in trial.warnings}


def test_raw_puts_count_by_their_answers() -> None:
    steps = tuple(
        StepSample(trial="t001", step="put", started_at=99.5 + n, duration_ms=600, status=200, ok=n != 3)
        for n in range(5)
    )
    evidence = Evidence(Console(steps=steps), SUMMARY, steps, settled_at=111.0)
    trial = record(Question.RAW, "raw-put", evidence)
    assert trial.uploads_in_window == 4
    assert trial.iterations_per_s == pytest.approx(0.4)
    assert trial.mean_active_vus == pytest.approx((0.1 + 4 * 0.6) / 10)


def test_a_ramp_ends_at_the_knee() -> None:
    trial = record(Question.RAMP, "proxy-chunked", uploads(12))
    assert ramp_end(trial, {1: 10.0, 2: 20.0}) is None
    assert ramp_end(trial, {1: 10.0, 2: 20.0, 4: 20.5, 8: 20.1}) is not None


def control(ratios: list[float]) -> list[Trial]:
    """Trials of pairs of one arm with itself, with these ratios of goodput."""
    model = record(Question.CAPACITY, "proxy-chunked", uploads(80))
    return [
        model.model_copy(
            update={"plan": model.plan.model_copy(update={"pair": pair}), "goodput_per_s": goodput}
        )
        for pair, ratio in enumerate(ratios)
        for goodput in (40.0, 40.0 * ratio)
    ]


def test_equal_arms_that_come_out_different_are_tried_again() -> None:
    assert control_failed(control([1.10, 1.11, 1.09, 1.12, 1.10, 1.10]))
    assert not control_failed(control([1.02, 0.97, 1.03, 0.99, 0.98, 1.01]))
    assert not control_failed(control([1.10, 1.11]))  # too few to say
    assert not control_failed([])
