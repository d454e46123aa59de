"""Numbers of a trial from its samples."""

from __future__ import annotations

import pytest

from loadtests.harness.records.model import Intent, LedgerClass, Outcome, StepSample, UploadSample
from loadtests.harness.running import trial_numbers as numbers
from loadtests.harness.running.trial_numbers import Window

pytestmark = pytest.mark.unit

WINDOW = Window(10.0, 20.0)


def intent(ref: str, at: float) -> Intent:
    return Intent(upload_ref=ref, trial="t", strategy="s", user_id="u", size_bytes=1, sha256="0", at=at)


def outcome(ref: str, ended_at: float) -> Outcome:
    return Outcome(upload_ref=ref, acked=True, started_at=ended_at - 1, ended_at=ended_at)


def step(started_at: float, duration_ms: float, *, ok: bool = True) -> StepSample:
    return StepSample(
        trial="t", step="put", started_at=started_at, duration_ms=duration_ms, status=200, ok=ok
    )


def sample(ledger: LedgerClass, durable_at: float | None) -> UploadSample:
    return UploadSample(
        upload_ref="r", trial="t", strategy="s", user_id="u", size_bytes=1, sha256="0", intent_at=0.0,
        ledger=ledger, durable_at=durable_at,
    )  # fmt: skip


def test_mean_active_counts_only_what_overlaps_the_window() -> None:
    intents = [intent("before", 5.0), intent("across", 8.0), intent("open", 15.0)]
    outcomes = [outcome("before", 9.0), outcome("across", 12.0)]
    assert numbers.mean_active(WINDOW, intents, outcomes, []) == pytest.approx((2.0 + 5.0) / 10)
    assert numbers.mean_active(WINDOW, [], [], [step(19.0, 4000.0)]) == pytest.approx(0.1)
    assert numbers.mean_active(Window(1.0, 1.0), intents, outcomes, []) is None


def test_goodput_is_verified_and_durable_inside() -> None:
    samples = [
        sample(LedgerClass.VERIFIED, 10.0),
        sample(LedgerClass.VERIFIED, 20.0),
        sample(LedgerClass.VERIFIED, None),
        sample(LedgerClass.LATE_SUCCESS, 15.0),
    ]
    assert len(numbers.verified_in(WINDOW, samples)) == 1


def test_rates_use_the_window() -> None:
    assert numbers.started_per_s(WINDOW, [intent("a", 9.9), intent("b", 10.0), intent("c", 19.9)]) == 0.2
    assert (
        len(numbers.steps_ended(WINDOW, [step(9.0, 1500.0), step(11.0, 5.0, ok=False), step(19.9, 200.0)]))
        == 1
    )
