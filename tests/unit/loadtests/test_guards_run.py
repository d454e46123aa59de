"""Guards of a whole run: fairness of pairs, proof, recounted samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.harness.analysis.analyse import analyse
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.guards_run import run_warnings
from loadtests.harness.records.model import Question, Severity, Trial, Warn
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate import DIRECT, PROXY, SHORT, facts_of

pytestmark = pytest.mark.unit


def found(facts: Facts, code: str) -> list[Warn]:
    return [warn for warn in run_warnings(facts) if warn.code == code]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of(tmp_path_factory.mktemp("short"), SHORT)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """One pair, and the uploads beside logins and lists."""
    return facts_of(
        tmp_path_factory.mktemp("beside"), make.recipe(pairs=1, ramp=(), single=False, large=False)
    )


def altered(facts: Facts, change: Callable[[Trial], Trial]) -> Facts:
    return replace(facts, trials=tuple(map(change, facts.trials)))


def test_a_good_run_is_only_told_that_it_shares_its_processors(tmp_path: Path) -> None:
    warnings = run_warnings(facts_of(tmp_path, SHORT))
    assert [(warn.code, warn.severity) for warn in warnings] == [("shared-host", Severity.INFO)]


def test_undeclared_difference_is_named_and_the_verdict_refused(short: Facts) -> None:
    def change(trial: Trial) -> Trial:
        level = "debug" if trial.plan.arm == DIRECT else "info"
        return trial.model_copy(update={"config": {**trial.config, "gateway.LOG_LEVEL": level}})

    facts = altered(short, change)
    warnings = found(facts, "config-differs")
    assert [warn.metric for warn in warnings] == ["gateway.LOG_LEVEL"]
    assert warnings[0].severity is Severity.INVALID
    analysis = analyse(facts)
    assert analysis.capacity is not None
    assert analysis.capacity.ratios[0].verdict is None
    assert "gateway.LOG_LEVEL" in (analysis.capacity.ratios[0].refused or "")
    assert analysis.exit_code == 2


@pytest.mark.parametrize("field", ["seed", "file_size_bytes", "level"])
def test_pairs_must_agree_in_the_plan(short: Facts, field: str) -> None:
    value = {"seed": 999, "file_size_bytes": 5, "level": "other"}[field]

    def change(trial: Trial) -> Trial:
        if trial.plan.arm != PROXY or trial.plan.question is not Question.CAPACITY:
            return trial
        return trial.model_copy(update={"plan": trial.plan.model_copy(update={field: value})})

    assert {w.metric for w in found(altered(short, change), "config-differs")} == {field}


def test_different_think_times(short: Facts) -> None:
    def change(trial: Trial) -> Trial:
        load = trial.plan.load.model_copy(update={"think_s": 2.0 if trial.plan.arm == PROXY else 2.2})
        return trial.model_copy(update={"plan": trial.plan.model_copy(update={"load": load})})

    warnings = found(altered(short, change), "think-time-differs")
    assert warnings[0].severity is Severity.INVALID
    assert (warnings[0].value, warnings[0].limit) == (2.2, 2.0)


def test_one_arm_after_the_other_is_refused(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, replace(SHORT, order="AAABBB"))
    warnings = found(facts, "order-not-interleaved")
    assert [warn.severity for warn in warnings] == [Severity.INVALID]
    assert analyse(facts).capacity.ratios[0].verdict is None  # type: ignore[union-attr]


def test_too_few_pairs_name_no_winner(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, replace(SHORT, pairs=5))
    assert [warn.value for warn in found(facts, "few-pairs")] == [5]
    assert analyse(facts).capacity.ratios[0].verdict == "~"  # type: ignore[union-attr]


def test_an_arm_that_costs_the_generator_more_is_said(short: Facts) -> None:
    def change(trial: Trial) -> Trial:
        if trial.plan.arm != DIRECT:
            return trial
        used = next(use.cpu_s for use in trial.processes if use.name == "k6")
        return make.with_process(trial, "k6", cpu_s=used * 1.4)

    warnings = found(altered(short, change), "shared-host")
    assert {warn.severity for warn in warnings} == {Severity.INFO, Severity.CAUTION}


def test_owned_processors_are_no_shared_host(short: Facts) -> None:
    facts = altered(short, lambda t: t.model_copy(update={"host_cores": 8.0}))
    assert found(facts, "shared-host") == []


def test_saturation_must_be_tried(tmp_path: Path) -> None:
    warnings = found(facts_of(tmp_path, replace(SHORT, saturation=False)), "not-saturated")
    assert len(warnings) == 2


def test_repeated_payload(short: Facts) -> None:
    facts = short
    first = facts.uploads["t001"]
    twice = (first[0].model_copy(update={"upload_ref": "again"}), *first)
    repeated = replace(facts, uploads={**facts.uploads, "t001": twice})
    warnings = found(repeated, "payload-not-unique")
    assert [(warn.value, warn.severity) for warn in warnings] == [(1, Severity.INVALID)]


def test_samples_that_contradict_the_trial(short: Facts) -> None:
    facts = short
    cut = replace(facts, uploads={**facts.uploads, "t001": facts.uploads["t001"][:-1]})
    warnings = [w for w in found(cut, "missing-samples") if w.metric == "uploads in the window, recounted"]
    assert [(warn.trial, warn.severity) for warn in warnings] == [("t001", Severity.INVALID)]


@pytest.mark.parametrize(("kept", "code"), [(0, "missing-samples"), (30, "offered-rate-missed")])
def test_missing_logins(beside: Facts, kept: int, code: str) -> None:
    facts = beside
    trial = facts.of(Question.NEIGHBOURS)[0].plan.trial
    logins = [step for step in facts.steps[trial] if step.step == "login"][:kept]
    steps = (*logins, *(step for step in facts.steps[trial] if step.step == "list"))
    cut = replace(facts, steps={**facts.steps, trial: steps})
    warnings = [warn for warn in found(cut, code) if "login" in (warn.metric or "")]
    assert [(warn.trial, warn.severity) for warn in warnings] == [(trial, Severity.INVALID)]


def test_hidden_sleep_outside_a_flow_voids_the_closed_loop(tmp_path: Path) -> None:
    warnings = found(facts_of(tmp_path, replace(SHORT, hidden_sleep_s=1.0)), "client-work")
    assert warnings and {warn.severity for warn in warnings} == {Severity.INVALID}


def test_a_trend_in_the_window_is_a_caution(short: Facts) -> None:
    facts = short
    trial = facts.trials[0]
    window = [s for s in facts.uploads["t001"] if trial.window_start <= (s.durable_at or 0)]
    half = (trial.window_end - trial.window_start) / 2
    late = [
        s.model_copy(update={"durable_at": trial.window_end - half * (i + 1) / (len(window) * 1.01)})
        if i % 4
        else s
        for i, s in enumerate(window)
    ]
    warnings = found(replace(facts, uploads={**facts.uploads, "t001": tuple(late)}), "no-steady-state")
    assert [(warn.trial, warn.severity) for warn in warnings] == [("t001", Severity.CAUTION)]


def test_few_prepared_vus(beside: Facts) -> None:
    def change(trial: Trial) -> Trial:
        if trial.plan.load.rate_per_s is None:
            return trial
        load = trial.plan.load.model_copy(update={"vus": 1})
        return trial.model_copy(update={"plan": trial.plan.model_copy(update={"load": load})})

    assert len(found(altered(beside, change), "few-prepared-vus")) == 4


def test_a_rate_above_capacity_is_said(beside: Facts) -> None:
    def change(trial: Trial) -> Trial:
        if trial.plan.load.rate_per_s is None:
            return trial
        load = trial.plan.load.model_copy(update={"rate_per_s": 50.0})
        return trial.model_copy(update={"plan": trial.plan.model_copy(update={"load": load})})

    assert len(found(altered(beside, change), "rate-above-capacity")) == 4


def controls(facts: Facts, ratios: list[float]) -> Facts:
    """Pairs of the base arm with itself, with these ratios of goodput."""
    model = facts.of(Question.CAPACITY, arm=PROXY)[0]
    added = []
    for index, ratio in enumerate(ratios):
        for place, goodput in enumerate((40.0, 40.0 * ratio)):
            name = f"c{index}{place}"
            plan = model.plan.model_copy(update={"trial": name, "pair": 100 + index})
            started = model.started_at + 10_000 + 10 * index + place
            added.append(
                model.model_copy(update={"plan": plan, "goodput_per_s": goodput, "started_at": started})
            )
    return replace(facts, trials=(*facts.trials, *added))


BIASED = [1.10, 1.11, 1.09, 1.10, 1.12, 1.08]


@pytest.mark.parametrize(
    ("ratios", "severities"),
    [
        ([1.01, 0.99, 1.0, 1.02, 0.98, 1.0], []),
        (BIASED, [Severity.CAUTION]),
        ([*BIASED, *BIASED], [Severity.INVALID]),
        ([*BIASED, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0], [Severity.CAUTION]),
    ],
)
def test_equal_arms_that_differ_twice_void_the_run(
    short: Facts, ratios: list[float], severities: list[Severity]
) -> None:
    facts = controls(short, ratios)
    assert [warn.severity for warn in found(facts, "aa-failed")] == severities


def test_trials_that_did_not_run_are_said(tmp_path: Path) -> None:
    warnings = found(facts_of(tmp_path, replace(SHORT, cut_after=4)), "not-reached")
    assert [warn.value for warn in warnings] == [10]
