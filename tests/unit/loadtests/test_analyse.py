"""A whole bundle to its result."""

from __future__ import annotations

import pytest

from loadtests.harness.analyse import analyse, blocks_needed
from loadtests.harness.records.plan import NOBODY, PartKind
from loadtests.harness.records.result import Result
from loadtests.harness.records.samples import Event
from tests.unit.loadtests.switchback import T0, FakeBundle, World, arm, bundle, ledger, part, plan

pytestmark = pytest.mark.unit

PAIR = part(arm("A"), arm("B"))
WARM_UP = part(arm("A"), arm("B"), name="warm-up", kind=PartKind.WARM_UP)
LEVELS = part(
    *(arm(f"A {vus} VU", of="A", vus=vus) for vus in (2, 4, 8)), name="levels", kind=PartKind.LEVELS
)
NEIGHBOURS = part(arm(NOBODY), arm("A", rate_per_s=20.0), name="neighbours", kind=PartKind.NEIGHBOURS)
EVENTS = (
    Event(at=T0 + 100.0, kind="audit"),
    Event(at=T0 + 103.5, kind="renewed", detail={"took_s": 6.0}),
)
PARTS = (PAIR, WARM_UP, LEVELS, NEIGHBOURS)


def whole() -> FakeBundle:
    world = World(
        rates={"A": 40.0, "B": 50.0, "A 2 VU": 20.0, "A 4 VU": 40.0, "A 8 VU": 40.0},
        noise=0.02,
    )
    for own, blocks in ((WARM_UP, 1), (PAIR, 8), (LEVELS, 6), (NEIGHBOURS, 6)):
        world.play(own, blocks)
    return bundle(world, *PARTS, of_events=EVENTS)


def test_every_answer_is_there_with_its_id() -> None:
    result = analyse(whole())
    assert result.compare is not None and result.compare.best == "B"
    assert [one.id for one in result.knees] == ["knee.A"]
    assert result.common_knee is not None
    assert (result.common_knee.low_vus, result.common_knee.high_vus) == (2, 4)
    assert result.neighbours is not None
    assert [one.id for one in result.neighbours.arms] == ["neighbours.nobody", "neighbours.A"]
    assert [price.id for price in result.prices] == ["price.A", "price.B"]
    assert {limit.part for limit in result.limits} == {"compare", "levels"}
    assert " " not in "".join(limit.id for limit in result.limits)


def test_only_the_comparison_asks_for_more_blocks() -> None:
    world = World(rates={"A": 40.0, "B": 40.0}, noise=0.2)
    world.play(PAIR, 8)
    made = bundle(world, *PARTS)
    assert blocks_needed(made, PAIR) == PAIR.most_blocks
    assert blocks_needed(made, LEVELS) == LEVELS.first_blocks


def test_equal_bundles_give_equal_results_that_survive_their_json() -> None:
    text = analyse(whole()).model_dump_json()
    assert text == analyse(whole()).model_dump_json()
    assert Result.model_validate_json(text).model_dump_json() == text


def test_the_middle_of_a_run_is_analysed_as_far_as_it_is() -> None:
    made = whole()
    made.world.stretches[:] = made.world.stretches[:2]
    made.of_ledgers = [ledger(made.world.stretches, made.world.uploads)]
    result = analyse(made)
    assert result.compare is not None and result.knees == () and result.neighbours is None
    assert result.common_knee is None
    assert "not-reached" in {warn.code for warn in result.warnings}


def test_what_nobody_audited_does_not_pass_for_periods_without_an_upload() -> None:
    made = whole()
    made.of_ledgers = [ledger(made.world.stretches[:1], made.world.uploads)]
    result = analyse(made)
    assert result.compare is None
    assert {"missing-samples", "not-reached"} <= {warn.code for warn in result.warnings}


def test_nothing_was_run_at_all() -> None:
    result = analyse(bundle(World(rates={}), *PARTS))
    assert (result.compare, result.exit_code) == (None, 3)
    assert result.exit_reason == "the comparison did not run"


def test_where_the_time_went() -> None:
    result = analyse(whole())
    assert result.seconds["compare"] == pytest.approx(8 * 12.0)
    assert (result.seconds["audit"], result.seconds["preparing"]) == (3.5, 20.0)
    assert result.seconds["making stacks"] == 6.0


def test_the_audits_are_added_up() -> None:
    made = whole()
    users = {"u1": {"intents": 5, "verified": 5}, "u2": {"intents": 1, "verified": 0}}
    one = ledger(made.world.stretches, made.world.uploads[:6], by_user=users, by_arm={"A": {"verified": 6}})
    made.of_ledgers = [one, one.model_copy(update={"audit": 2, "flags": {"G-10": 2}})]
    total = analyse(made).ledger
    assert (total.intents, total.users, total.users_without_file) == (12, 2, 1)
    assert (total.by_arm, total.flags, total.failed) == ({"A": {"verified": 12}}, {"G-10": 2}, False)


def test_the_time_course_names_every_turn_and_adds_up_the_cores() -> None:
    made = whole()
    result = analyse(made)
    first = result.timeline.turns[0]
    assert (first[0], first[2], first[3]) == ("warm-up", 20.0, 23.0)
    busy = sum(sum(cores) for cores in result.timeline.cores.values())
    assert busy > 0 and len(result.timeline.at_s) <= 240


def test_forty_thousand_uploads() -> None:
    """As many as a long run leaves; the suite's own limit on a test's time is the measure."""
    world = World(rates={"A": 400.0, "B": 420.0}, noise=0.05)
    world.play(PAIR, 9)
    assert len(world.uploads) > 40_000
    result = analyse(bundle(world, PAIR, planned=plan(PAIR)))
    assert result.compare is not None and result.compare.arms[0].uploads > 15_000
