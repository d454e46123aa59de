"""Plans: order, pairs, seeds, stages, estimates."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from loadtests.harness.planning.experiment import EXPERIMENTS_FOLDER, load_experiment
from loadtests.harness.planning.overrides import read_overrides
from loadtests.harness.planning.plan import Planner
from loadtests.harness.planning.plan_estimate import (
    CALIBRATION_S,
    OVERHEAD_PER_LOAD,
    RUN_OVERHEAD_S,
    SIGNUP_S,
    TRIAL_OVERHEAD_S,
)
from loadtests.harness.planning.plan_resolve import likely_upload_s, past_knee, saturating_vus
from loadtests.harness.strategies import load_strategies
from loadtests.harness.records.model import Question, TrialPlan
from loadtests.harness.records.switchback import holds

pytestmark = pytest.mark.unit

A, B, SINGLE = "proxy-chunked", "direct-multipart", "direct-single"


def planner(**environ: str) -> Planner:
    strategies = load_strategies()
    experiment = load_experiment(EXPERIMENTS_FOLDER / "exp07.yaml")
    return Planner("run", experiment, read_overrides(environ, strategies), strategies)


def capacity(trials: list[TrialPlan]) -> list[TrialPlan]:
    return [trial for trial in trials if trial.question is Question.CAPACITY]


def test_an_experiment_may_let_other_arms_decide() -> None:
    strategies = load_strategies()
    experiment = load_experiment(EXPERIMENTS_FOLDER / "exp05.yaml")
    modes = Planner("run", experiment, read_overrides({}, strategies), strategies)
    assert modes.deciding == ["proxy-single", "proxy-single-spooled", "proxy-single-buffered"]
    assert modes.beside == []
    assert planner().beside == [SINGLE]


def test_pairs_come_in_blocks_that_are_mirrored() -> None:
    pairs = capacity(planner().draw_capacity(16))
    assert len(pairs) == 12
    for block in range(3):
        arms = [trial.arm for trial in pairs if trial.block == block]
        assert arms in ([A, B, B, A], [B, A, A, B])
        assert [trial.position for trial in pairs if trial.block == block] == [0, 1, 2, 3]


def test_the_two_trials_of_a_pair_differ_in_the_strategy_only() -> None:
    pairs = capacity(planner().draw_capacity(16))
    for number in range(6):
        one, other = (trial for trial in pairs if trial.pair == number)
        assert {one.arm, other.arm} == {A, B}
        free = {"trial": "", "arm": "", "position": 0}
        assert one.model_copy(update=free) == other.model_copy(update=free)


def test_no_trial_separates_a_pair() -> None:
    trials = planner().draw_capacity(16)
    for first, second in pairwise(trials):
        if first.pair is not None and first.position in (0, 2):
            assert second.pair == first.pair


def test_the_order_is_drawn_by_the_seed() -> None:
    assert planner().draw_capacity(16) == planner().draw_capacity(16)


def test_saturation_and_the_single_put_run_between_the_blocks() -> None:
    trials = planner().draw_capacity(16)
    questions = Counter(trial.question for trial in trials)
    assert questions == {Question.CAPACITY: 12, Question.SATURATION: 2, Question.SINGLE: 2, Question.LARGE: 3}
    assert Counter(trial.arm for trial in trials if trial.question is Question.SATURATION) == {A: 1, B: 1}
    positions = [index for index, trial in enumerate(trials) if trial.question is Question.SATURATION]
    last_pair = max(index for index, trial in enumerate(trials) if trial.question is Question.CAPACITY)
    assert max(positions) < last_pair


def test_the_proof_goes_to_more_vus_and_back() -> None:
    trial = next(trial for trial in planner().draw_capacity(16) if trial.question is Question.SATURATION)
    turns = list(holds(trial.load))
    assert [vus for vus, _, _ in turns] == [16, *[24, 16] * 7]
    assert {round(end - begin, 6) for _, begin, end in turns} == {2.4}
    assert turns[0][1] == trial.load.warmup_s
    assert all(before[2] == after[1] for before, after in pairwise(turns))
    assert (trial.load.executor, trial.level) == ("ramping-vus", "16 and 24 VU")


def test_slow_uploads_get_longer_turns() -> None:
    trials = planner().draw_capacity(16, upload_s=likely_upload_s(16, {A: {4: 2.0, 8: 4.0}, B: {4: 9.0}}))
    trial = next(trial for trial in trials if trial.question is Question.SATURATION)
    assert {round(end - begin, 6) for _, begin, end in holds(trial.load)} == {20.0}  # 16 / 4.0 = 4 s each


def test_neighbours_run_at_one_rate_and_alone() -> None:
    trials = planner().draw_neighbours(50.0)
    assert Counter(trial.arm for trial in trials) == {"none": 2, A: 2, B: 2}
    assert {trial.load.rate_per_s for trial in trials} == {None, 30.0}
    samples = sum(trial.load.login_rate_per_s * trial.load.window_s for trial in trials if trial.arm == A)
    assert samples >= 100
    assert all((trial.load.max_vus or 0) > (trial.load.vus or 0) for trial in trials if trial.arm != "none")


def test_trials_are_numbered_over_all_stages() -> None:
    one = planner()
    drawn = [*one.draw_ramp(), *one.draw_capacity(8), *one.draw_neighbours(10.0)]
    assert [trial.trial for trial in drawn] == [f"t{number:03d}" for number in range(1, len(drawn) + 1)]
    one.drop([drawn[0].trial])
    assert one.plan().trials == tuple(drawn[1:])


def test_smoke_asks_all_four_questions_in_about_a_minute() -> None:
    one = planner(PROFILE="smoke")
    assert one.given_vus() == 5
    expected = one.estimate()
    trials = [*one.draw_ramp(), *one.draw_capacity(5), *one.draw_neighbours(20.0)]
    assert Counter(trial.question for trial in trials) == {
        Question.RAMP: 4, Question.CAPACITY: 2, Question.LARGE: 3, Question.NEIGHBOURS: 3,
    }  # fmt: skip
    assert expected.trials == len(trials)
    assert 60 <= expected.seconds <= 100


def test_ci_takes_about_eight_minutes() -> None:
    assert 450 <= planner().estimate().seconds < 510


def test_the_estimate_is_the_plan_s_own_load_and_a_known_cost_of_each_trial() -> None:
    one = planner()
    one.draw_ramp()
    one.drop([trial.trial for trial in one.trials[9:]])  # the knee was found after nine steps
    one.draw_capacity(32)
    one.draw_neighbours(50.0)
    expected = one.estimate()
    load_s = sum(
        sum(seconds for seconds, _ in load.stages) or load.warmup_s + load.window_s
        for load in (trial.load for trial in one.trials)
    )
    fixed_s = RUN_OVERHEAD_S + SIGNUP_S * one.profile.identities + CALIBRATION_S * len(one.arms)
    assert expected.trials == len(one.trials)
    of_trials = load_s * (1 + OVERHEAD_PER_LOAD) + (TRIAL_OVERHEAD_S + one.profile.rest_s) * len(one.trials)
    assert expected.seconds == pytest.approx(of_trials + fixed_s)


def test_overrides_reach_the_trials() -> None:
    one = planner(VUS="6", FILE_SIZE="2MiB", STRATEGIES=f"{B},{A}", LOGIN="each")
    assert one.given_vus() == 6
    trials = capacity(one.draw_capacity(6))
    assert {trial.load.vus for trial in trials} == {6}
    assert {trial.file_size_bytes for trial in trials} == {2 * 1024 * 1024}
    assert all(trial.load.login_each for trial in trials)
    assert one.plan().strategies == (B, A)


def test_scale_multiplies_vus() -> None:
    levels = [trial.load.vus for trial in planner(SCALE="0.5").draw_ramp()]
    assert max(level for level in levels if level) == 48
    assert planner(SCALE="2", PROFILE="smoke").given_vus() == 10


def test_one_strategy_alone_is_compared_with_itself() -> None:
    trials = capacity(planner(STRATEGIES=A).draw_capacity(8))
    assert {trial.arm for trial in trials} == {A}
    assert len(trials) == 12


def test_full_has_control_pairs_of_one_arm() -> None:
    trials = capacity(planner(PROFILE="full").draw_capacity(8))
    by_pair: dict[int | None, set[str]] = {}
    for trial in trials:
        by_pair.setdefault(trial.pair, set()).add(trial.arm)
    assert sum(arms == {A, B} for arms in by_pair.values()) == 8
    assert sum(arms == {A} for arms in by_pair.values()) == 6


def test_saturating_vus_are_four_times_the_first_good_level_of_the_slower_starter() -> None:
    goodput = {A: {1: 20.0, 2: 40.0, 4: 48.0, 8: 50.0}, B: {1: 20.0, 2: 39.0, 4: 60.0, 8: 80.0, 32: 81.0}}
    assert saturating_vus(goodput) == 32
    assert saturating_vus({A: {1: 20.0, 16: 40.0, 32: 60.0, 96: 61.0}}) == 96  # never more than were tried
    assert saturating_vus({A: {1: 50.0, 2: 50.0}}) == 8  # never fewer


@pytest.mark.parametrize(
    ("rates", "ended"),
    [
        ([10, 20, 40], False),
        ([10, 20, 40, 41], False),
        ([10, 20, 40, 41, 41.5], True),
        ([10, 10, 10], False),
        ([10, 20, 40, 39, 60], False),
        ([10], False),
    ],
)
def test_a_ramp_ends_after_two_steps_without_gain(rates: list[float], ended: bool) -> None:
    assert past_knee({2**step: float(rate) for step, rate in enumerate(rates)}) is ended


def test_a_failed_control_is_repeated_with_fresh_pairs() -> None:
    one = planner(PROFILE="full")
    before = one.draw_capacity(8)
    again = one.draw_control()
    assert len(again) == 12 and {trial.arm for trial in again} == {A}
    assert not {trial.pair for trial in again} & {trial.pair for trial in before}
    assert not {trial.block for trial in again} & {trial.block for trial in before}
    assert {trial.load for trial in again} == {before[0].load}
    assert one.plan().trials[-12:] == tuple(again)
