"""Every guard refuses what it is there to refuse, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.harness.analysis.guards_trial import GUARDS, judge_trial, validity
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import LedgerTable, Question, Severity, Trial, Validity
from tests.unit.loadtests import fabricate as make

pytestmark = pytest.mark.unit

Sample = tuple[Trial, LedgerTable]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(make.fabricate(tmp_path_factory.mktemp("judge"), make.recipe(pairs=1, ramp=())))


def sample(bundle: Bundle, question: Question) -> Sample:
    trial = next(t for t in bundle.trials() if t.plan.question is question and t.plan.arm != "none")
    return trial, bundle.ledgers()[trial.plan.trial]


def of_trial(**changes: object) -> Callable[[Sample], Sample]:
    return lambda pair: (pair[0].model_copy(update=changes), pair[1])


def of_k6(**changes: object) -> Callable[[Sample], Sample]:
    return lambda pair: (pair[0].model_copy(update={"k6": pair[0].k6.model_copy(update=changes)}), pair[1])


def of_load(**changes: object) -> Callable[[Sample], Sample]:
    def change(pair: Sample) -> Sample:
        plan = pair[0].plan
        plan = plan.model_copy(update={"load": plan.load.model_copy(update=changes)})
        return pair[0].model_copy(update={"plan": plan}), pair[1]

    return change


def of_ledger(**changes: object) -> Callable[[Sample], Sample]:
    return lambda pair: (pair[0], pair[1].model_copy(update=changes))


def of_process(name: str, **changes: object) -> Callable[[Sample], Sample]:
    return lambda pair: (make.with_process(pair[0], name, **changes), pair[1])


def without_process(name: str) -> Callable[[Sample], Sample]:
    def change(pair: Sample) -> Sample:
        uses = tuple(use for use in pair[0].processes if use.name != name)
        return pair[0].model_copy(update={"processes": uses}), pair[1]

    return change


def slowed(factor: float) -> Callable[[Sample], Sample]:
    def change(pair: Sample) -> Sample:
        mean = (pair[0].k6.iteration_duration_mean_ms or 0) * factor
        return of_k6(iteration_duration_mean_ms=mean)(pair)

    return change


def pending(pair: Sample) -> Sample:
    verified = pair[1].classes["verified"]
    return of_ledger(classes={"verified": verified - 2, "pending": 2})(pair)


CLOSED, OPEN = Question.CAPACITY, Question.NEIGHBOURS
INVALID, CAUTION = Severity.INVALID, Severity.CAUTION
# code, question of the trial, the planted defect, severity, a part of the metric's name
PLANTED = [
    ("generator-limited", CLOSED, of_process("k6", cpu_s=14.0), INVALID, "share"),
    ("generator-limited", OPEN, of_k6(dropped_iterations=1), INVALID, "dropped"),
    ("offered-rate-missed", OPEN, of_trial(iterations_per_s=25.0), INVALID, "achieved"),
    ("generator-failed", CLOSED, of_k6(exit_code=107), INVALID, "exit"),
    ("missing-samples", CLOSED, without_process("k6"), INVALID, "absent"),
    ("missing-samples", CLOSED, without_process("pg-files"), INVALID, "absent"),
    ("missing-samples", CLOSED, of_trial(host_cpu_s=None), INVALID, "absent"),
    ("missing-samples", CLOSED, of_ledger(intents=0, acks=0, classes={}), INVALID, "absent"),
    ("missing-samples", CLOSED, of_k6(iterations=100_000), INVALID, "absent"),
    ("label-mismatch", CLOSED, of_trial(mean_active_vus=15.0), INVALID, "configured"),
    ("little-mismatch", CLOSED, slowed(1.5), INVALID, "active"),
    ("little-mismatch", CLOSED, slowed(1.15), CAUTION, "active"),
    ("little-mismatch", CLOSED, of_trial(mean_gateway_in_flight=9.0), CAUTION, "gateway"),
    ("ledger-mismatch", CLOSED, of_ledger(failed=True, flags={"G-11": 1}), INVALID, "failing"),
    ("ledger-mismatch", CLOSED, of_ledger(classes={"verified": 1}), INVALID, "without a class"),
    ("bytes-mismatch", CLOSED, of_ledger(stored_bytes=1), INVALID, "bytes"),
    ("restart-during-run", CLOSED, of_process("upload", restarted=True), INVALID, "restarted"),
    ("no-steady-state", CLOSED, of_trial(steady_cut_s=60.0), INVALID, "steady"),
    ("script-set-rate", CLOSED, of_load(think_s=2.0), CAUTION, "slept"),
    ("upload-errors", CLOSED, of_ledger(acks=300), CAUTION, "failed"),
    ("low-samples", CLOSED, of_trial(uploads_in_window=29), CAUTION, "window"),
    ("noisy-host", CLOSED, of_process("rest", cpu_s=2.0), CAUTION, "other programs"),
    ("settle-cut", CLOSED, pending, CAUTION, "progress"),
    ("dirty-start", CLOSED, of_ledger(baseline_files=3), CAUTION, "other users"),
    ("clock-offset", CLOSED, of_trial(clock_offset_s={"files_db": -0.2}), CAUTION, "clock"),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted[0]}-{planted[4]}")
def test_guard_refuses(
    bundle: Bundle, planted: tuple[str, Question, Callable[[Sample], Sample], Severity, str]
) -> None:
    code, question, plant, severity, metric = planted
    trial, ledger = plant(sample(bundle, question))
    found = [w for w in judge_trial(trial, ledger) if w.code == code and metric in (w.metric or "")]
    assert [warn.severity for warn in found] == [severity]
    assert found[0].trial == trial.plan.trial
    assert found[0].value is not None and found[0].limit is not None and found[0].advice


@pytest.mark.parametrize("question", [CLOSED, OPEN, Question.SINGLE])
def test_a_good_trial_breaks_no_guard(bundle: Bundle, question: Question) -> None:
    assert judge_trial(*sample(bundle, question)) == ()


def test_every_guard_has_a_planted_defect() -> None:
    untested = {(g.code, g.severity) for g in GUARDS} - {
        (code, severity) for code, _, _, severity, _ in PLANTED
    }
    assert untested == set()


def test_of_two_limits_only_the_stricter_is_reported(bundle: Bundle) -> None:
    found = judge_trial(*slowed(1.5)(sample(bundle, CLOSED)))
    assert [warn.code for warn in found] == ["little-mismatch"]


def test_a_trial_without_a_ledger_is_missing_it(bundle: Bundle) -> None:
    trial, _ = sample(bundle, CLOSED)
    found = judge_trial(trial, None)
    assert [warn.code for warn in found] == ["missing-samples"]
    assert "ledger" in found[0].message


def test_a_trial_without_uploads_needs_none(bundle: Bundle) -> None:
    quiet = next(t for t in bundle.trials() if t.plan.arm == "none")
    assert judge_trial(quiet, None) == ()


def test_exactly_at_a_limit_is_allowed(bundle: Bundle) -> None:
    trial, ledger = sample(bundle, CLOSED)
    allowed = 0.80 * trial.k6_cores_allowed * (trial.window_end - trial.window_start)
    trial = make.with_process(trial, "k6", cpu_s=allowed)
    assert "generator-limited" not in {warn.code for warn in judge_trial(trial, ledger)}


def test_validity_is_the_worst_severity(bundle: Bundle) -> None:
    trial, ledger = sample(bundle, CLOSED)
    caution = judge_trial(*of_ledger(baseline_files=1)((trial, ledger)))
    invalid = judge_trial(*of_k6(exit_code=1)((trial, ledger)))
    assert validity([]) is Validity.VALID
    assert validity(caution) is Validity.CAUTIONS
    assert validity([*caution, *invalid]) is Validity.INVALID


def test_bundle_is_a_fresh_folder(tmp_path: Path) -> None:
    """The fabricated bundle itself obeys what the guards check, whatever the profile."""
    small = Bundle(make.fabricate(tmp_path, make.SMOKE))
    worst = [w for t in small.trials() for w in judge_trial(t, small.ledgers().get(t.plan.trial))]
    assert {warn.code for warn in worst} <= {"low-samples"}
