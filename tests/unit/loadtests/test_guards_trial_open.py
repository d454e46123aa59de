"""Guards of arrivals and promises: late generators, growing backlogs, rates near the generator's ceiling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.harness.analysis.facts import Facts, read_facts
from loadtests.harness.analysis.guards_run import CEILING_LIMIT, run_warnings
from loadtests.harness.analysis.neighbours import neighbours
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import Question, Severity, Trial, UploadSample, Warn
from loadtests.harness.records.notes import GENERATOR, Ceiling
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate import DIRECT, PROXY

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    recipe = make.recipe(pairs=1, ramp=(), single=False, large=False)
    return read_facts(Bundle(make.fabricate(tmp_path_factory.mktemp("open"), recipe)))


def found(facts: Facts, code: str) -> list[Warn]:
    return [warn for warn in run_warnings(facts) if warn.code == code]


def open_trial(facts: Facts, arm: str = PROXY) -> Trial:
    return facts.of(Question.NEIGHBOURS, arm=arm)[0]


def changed(facts: Facts, trial: str, change: Callable[[int, UploadSample], UploadSample]) -> Facts:
    samples = tuple(change(index, sample) for index, sample in enumerate(facts.uploads[trial]))
    return replace(facts, uploads={**facts.uploads, trial: samples})


def late_by(facts: Facts, trial: str, delay_s: float) -> Facts:
    """Every arrival begun so long after it was due."""
    return changed(facts, trial, lambda _, s: s.model_copy(update={"scheduled_at": s.intent_at - delay_s}))


def test_arrivals_that_begin_late_are_a_caution(facts: Facts) -> None:
    trial = open_trial(facts).plan.trial
    warnings = found(late_by(facts, trial, 0.02), "slip")
    assert [(warn.trial, warn.severity) for warn in warnings] == [(trial, Severity.CAUTION)]
    assert warnings[0].limit == 0.05


def test_arrivals_in_time_are_none(facts: Facts) -> None:
    assert found(late_by(facts, open_trial(facts).plan.trial, 0.001), "slip") == []


def test_waiting_counts_from_when_an_arrival_was_due(facts: Facts) -> None:
    """A stalled generator must not make the system look faster than its users find it."""
    trial = open_trial(facts).plan.trial
    views = [neighbours(facts), neighbours(late_by(facts, trial, 0.1))]
    before, after = (next(a for a in view.arms if a.arm == PROXY).tta_p50.value for view in views if view)
    assert before is not None and after is not None and after > before


def promised(index: int, sample: UploadSample, lag_s: float) -> UploadSample:
    """Acknowledged as before, durable later and later."""
    if sample.acked_at is None:
        return sample
    update = {"durable_at": sample.acked_at + lag_s * index, "flags": (*sample.flags, "G-10")}
    return sample.model_copy(update=update)


def test_promises_that_outrun_storing_are_said(facts: Facts) -> None:
    trial = facts.of(Question.CAPACITY, arm=DIRECT)[0].plan.trial
    growing = changed(facts, trial, lambda i, s: promised(i, s, 0.02))
    warnings = found(growing, "backlog-growing")
    assert [(warn.trial, warn.severity) for warn in warnings] == [(trial, Severity.CAUTION)]
    assert "rate that became durable" in warnings[0].message


def test_a_backlog_of_constant_length_is_steady(facts: Facts) -> None:
    trial = facts.of(Question.CAPACITY, arm=DIRECT)[0].plan.trial
    constant = changed(facts, trial, lambda _, s: promised(1, s, 0.3))
    assert found(constant, "backlog-growing") == []


def test_answers_after_durability_have_no_backlog(facts: Facts) -> None:
    assert found(facts, "backlog-growing") == []


def calibrated(facts: Facts, **per_s: float) -> Facts:
    size = facts.plan.file_size_bytes
    known = {
        arm.replace("_", "-"): Ceiling(file_size_bytes=size, uploads_per_s=rate, floor_ms=1).model_dump()
        for arm, rate in per_s.items()
    }
    return replace(facts, manifest=facts.manifest.model_copy(update={"notes": {GENERATOR: known}}))


def test_more_than_half_of_what_the_generator_can_do_is_invalid(facts: Facts) -> None:
    trial = facts.of(Question.CAPACITY, arm=PROXY)[0]
    limit = trial.iterations_per_s / CEILING_LIMIT
    tight = calibrated(facts, proxy_chunked=limit * 0.98, direct_multipart=1e6)
    ours = [warn for warn in found(tight, "generator-limited") if warn.trial == trial.plan.trial]
    assert [warn.severity for warn in ours] == [Severity.INVALID]
    assert ours[0].value == pytest.approx(0.51, abs=0.01)
    assert ours[0].limit == 0.5
    roomy = calibrated(facts, proxy_chunked=limit * 2, direct_multipart=1e6)
    assert found(roomy, "generator-limited") == []


def test_another_size_has_another_ceiling(facts: Facts) -> None:
    other = replace(facts, plan=facts.plan.model_copy(update={"file_size_bytes": 5}))
    assert found(calibrated(other, proxy_chunked=1.0), "generator-limited") == []


def test_a_trial_that_is_never_steady_has_no_mean(tmp_path: Path) -> None:
    recipe = make.recipe(pairs=1, ramp=(), single=False, large=False, neighbours=False)
    facts = read_facts(Bundle(make.fabricate(tmp_path, recipe)))
    first = facts.trials[0]
    length_s = first.window_end - first.window_start
    trials = (first.model_copy(update={"steady_cut_s": length_s / 2}), *facts.trials[1:])
    unsteady = replace(facts, trials=trials)
    warnings = found(unsteady, "no-steady-state")
    assert [(w.trial, w.severity) for w in warnings] == [(first.plan.trial, Severity.INVALID)]
    assert not unsteady.is_valid(trials[0])
