"""The proof of saturation: more VUs by turns, each turn against the turns beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.model import Saturation
from loadtests.harness.analysis.saturation import GAIN_LIMIT, prove, turns_of
from loadtests.harness.records.model import Load, Question, UploadSample
from loadtests.harness.records.switchback import holds
from tests.unit.loadtests.fabricate import PROXY, Recipe, facts_of

pytestmark = pytest.mark.unit

RECIPE = Recipe(pairs=1, ramp=(), single=False, large=False, neighbours=False)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of(tmp_path_factory.mktemp("proof"), RECIPE)


def test_a_full_system_gains_nothing(facts: Facts) -> None:
    found = proof(facts)
    assert (found.vus, found.more_vus, found.switches) == (16, 24, 2)
    assert abs(found.gain) < GAIN_LIMIT
    assert found.proven


def test_the_gain_has_an_interval(facts: Facts) -> None:
    found = proof(with_rates(facts, [100, 104, 100, 98, 100]))
    assert found.gain_low is not None and found.gain_high is not None
    assert found.gain_low < found.gain < found.gain_high
    assert found.gain == pytest.approx(0.01, abs=0.005)


def test_few_clients_gain(tmp_path: Path) -> None:
    found = proof(facts_of(tmp_path, replace(RECIPE, vus=4, noise=0.0)))
    assert found.gain > 0.1
    assert not found.proven


def test_a_machine_that_gets_slower_hides_no_gain(facts: Facts) -> None:
    """Each turn loses a quarter, and more VUs bring a fifth: the gain is still a fifth."""
    assert proof(with_rates(facts, [400, 360, 225, 202.5, 126.5625])).gain == pytest.approx(0.2, abs=0.01)


def test_a_machine_that_gets_faster_feigns_none(facts: Facts) -> None:
    assert proof(with_rates(facts, [40, 60, 90, 135, 202.5])).gain == pytest.approx(0.0, abs=0.01)


def test_switching_itself_is_no_gain(facts: Facts) -> None:
    """A server that ends 100 uploads a second, one after the other, however many wait."""
    trial = facts.of(Question.SATURATION, arm=PROXY)[0]
    levels = [(vus, begin) for vus, begin, _ in holds(trial.plan.load)]
    waiting = deque[float]()
    samples = []
    like = facts.uploads[trial.plan.trial][0]
    for at in np.arange(0.0, 15.0, 0.01):
        wanted = next(vus for vus, begin in reversed(levels) if begin <= at)
        if len(waiting) > 0:
            times = {
                "started_at": trial.load_started_at + waiting.popleft(),
                "durable_at": trial.load_started_at + at,
            }
            samples.append(like.model_copy(update=times))
        waiting.extend(at for _ in range(wanted - len(waiting)))
    found = proof(replace(facts, uploads={**facts.uploads, trial.plan.trial: tuple(samples)}))
    assert found.gain == pytest.approx(0.0, abs=0.01)
    assert found.goodput_per_s == pytest.approx(100.0, rel=0.02)


def test_an_upload_counts_in_every_turn_for_its_part(facts: Facts) -> None:
    """Bursts that end a little before or after a switch are no gain and no loss."""
    trial = facts.of(Question.SATURATION, arm=PROXY)[0]
    like, begin = facts.uploads[trial.plan.trial][0], trial.load_started_at
    bursts = tuple(
        like.model_copy(update={"started_at": begin + at, "durable_at": begin + at + 0.6})
        for at in np.arange(0.0, 15.0, 0.6)
        for _ in range(60)
    )
    turns = turns_of(replace(facts, uploads={**facts.uploads, trial.plan.trial: bursts}), trial)
    assert [turn.goodput_per_s for turn in turns] == pytest.approx([100.0] * 5)


def test_uploads_longer_than_a_turn_prove_nothing(facts: Facts) -> None:
    trial = facts.of(Question.SATURATION, arm=PROXY)[0]
    slow = trial.model_copy(update={"k6": trial.k6.model_copy(update={"iteration_duration_mean_ms": 1300.0})})
    others = [one for one in facts.trials if one.plan.trial != trial.plan.trial]
    assert prove(replace(facts, trials=(*others, slow)), PROXY) is None


def test_a_turn_without_uploads_proves_nothing(facts: Facts) -> None:
    assert prove(with_rates(facts, [100, 0, 100, 0, 100]), PROXY) is None


def test_holds_leave_out_warm_up_and_slopes() -> None:
    load = Load(executor="ramping-vus", warmup_s=2, stages=((0.0, 4), (5.0, 4), (3.0, 8), (4.0, 8), (1.0, 0)))
    assert list(holds(load)) == [(4, 2.0, 5.0), (8, 8.0, 12.0)]


def proof(facts: Facts) -> Saturation:
    found = prove(facts, PROXY)
    assert found is not None
    return found


def with_rates(facts: Facts, rates: Sequence[float]) -> Facts:
    """The proof of the first arm with these uploads per second, turn by turn."""
    trial = facts.of(Question.SATURATION, arm=PROXY)[0]
    like: Callable[[float], UploadSample] = lambda at: facts.uploads[trial.plan.trial][0].model_copy(  # noqa: E731
        update={"started_at": trial.load_started_at + at - 1e-3, "durable_at": trial.load_started_at + at}
    )
    samples = tuple(
        like(begin + (number + 0.5) / rate)
        for rate, (_, begin, end) in zip(rates, holds(trial.plan.load), strict=True)
        for number in range(round(rate * (end - begin)))
    )
    return replace(facts, uploads={**facts.uploads, trial.plan.trial: samples})
