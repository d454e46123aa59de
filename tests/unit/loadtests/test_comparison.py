"""A switchback as a whole: rates, ratios, how many blocks, carry-over, sizes."""

from __future__ import annotations

import pytest

from loadtests.harness.analysis.sizes import sizes
from loadtests.harness.comparison import blocks_to_run, carry_over, compare_so_far
from loadtests.harness.periods import Block, Samples, whole_blocks
from loadtests.harness.records.plan import Part, PartKind
from loadtests.harness.records.result import Comparison, Ratio, Verdict
from tests.unit.loadtests.switchback import World, arm, part, plan

pytestmark = pytest.mark.unit

PAIR = part(arm("A"), arm("B"))


def played(world: World, own: Part, blocks: int, **given: object) -> Comparison:
    world.play(own, blocks)
    return compare_so_far(plan(own, **given), own, world.stretches, Samples(world.uploads, world.looks))


def blocks(world: World, own: Part) -> tuple[Block, ...]:
    return whole_blocks(Samples(world.uploads, world.looks).periods(own, world.stretches), world.stretches)


def rate(found: Comparison) -> Ratio:
    return next(ratio for ratio in found.ratios if ratio.metric == "uploads_per_s")


def test_the_faster_arm_is_found_with_its_ratio() -> None:
    found = played(World(rates={"A": 40.0, "B": 50.0}, noise=0.05), PAIR, 8)
    ratio = rate(found)
    assert ratio.ratio.low and ratio.ratio.high and ratio.ratio.low < 1.25 < ratio.ratio.high
    assert (ratio.verdict, ratio.winner_named, found.best) == (Verdict.MORE, True, "B")
    assert [arm.uploads_per_s.value for arm in found.arms] == pytest.approx([40.0, 50.0], rel=0.05)
    assert found.arms[0].payload_mb_per_s.value == pytest.approx(found.arms[0].uploads_per_s.value)
    assert len(found.arms[0].per_period) == 16


def test_equal_arms_are_equal() -> None:
    found = played(World(rates={"A": 40.0, "B": 40.0}, noise=0.03), PAIR, 12)
    assert (rate(found).verdict, found.best) == (Verdict.EQUAL, None)


def test_every_metric_has_a_ratio_and_rates_come_first() -> None:
    found = played(World(rates={"A": 40.0, "B": 50.0}, noise=0.02), PAIR, 8)
    assert [r.metric for r in found.ratios] == [
        "uploads_per_s",
        "cpu_s_per_upload",
        "k6_cpu_s_per_upload",
        "uploads_per_s_without_k6",
        "durable_ms",
    ]
    assert found.ratios[4].ratio.value == pytest.approx(0.8, rel=0.03)  # a closed loop: more is sooner


def test_on_a_full_machine_the_ratio_without_k6_is_that_of_all_other_costs() -> None:
    """Two cores are full: rates follow from what an upload costs, and k6 costs B three times as much."""
    rest, k6 = {"A": 0.020, "B": 0.016}, {"A": 0.002, "B": 0.006}
    costs = {name: {"gateway": rest[name] / 2, "minio": rest[name] / 2, "k6": k6[name]} for name in "AB"}
    rates = {name: 2 / (rest[name] + k6[name]) for name in "AB"}
    found = played(World(rates=rates, costs=costs, noise=0.02), PAIR, 8)
    (without,) = (one for one in found.ratios if one.metric == "uploads_per_s_without_k6")
    assert rate(found).ratio.value == pytest.approx(1.0, rel=0.03)
    assert without.ratio.value == pytest.approx(rest["A"] / rest["B"], rel=0.03)
    assert without.ratio.low is not None and without.ratio.low > 1.1
    assert not without.winner_named


class TestSoFar:
    def test_nothing_yet(self) -> None:
        found = compare_so_far(plan(PAIR), PAIR, (), Samples((), ()))
        assert (found.blocks, found.wanted_blocks, found.half_width, found.precise) == (0, 8, None, False)
        assert found.arms[0].uploads_per_s.value is None
        assert blocks_to_run(found, PAIR) == 8

    def test_the_first_stage_says_how_many(self) -> None:
        world = World(rates={"A": 40.0, "B": 40.0}, noise=0.10)
        early = played(world, PAIR, 8)
        assert early.wanted_blocks > 8 and not early.precise
        wanted = blocks_to_run(early, PAIR)
        late = played(world, PAIR, wanted - 8)
        assert late.wanted_blocks == early.wanted_blocks
        assert late.blocks == wanted
        assert late.precise is (early.wanted_blocks <= PAIR.most_blocks)

    def test_the_budget_ends_it(self) -> None:
        found = played(World(rates={"A": 40.0, "B": 40.0}, noise=0.5), PAIR, 8)
        assert blocks_to_run(found, PAIR) == PAIR.most_blocks < found.wanted_blocks


def test_a_trial_names_no_winner() -> None:
    found = played(World(rates={"A": 40.0, "B": 80.0}), PAIR, 8, profile="smoke")
    assert (rate(found).verdict, rate(found).winner_named, found.best) == (Verdict.MORE, False, None)


def test_two_arms_of_one_strategy_stay_apart() -> None:
    """Arms go by their names: two settings of one strategy are two arms."""
    own = part(arm("A", asked={"FINALISE": "inline"}), arm("B", asked={"FINALISE": "queued"}))
    found = played(World(rates={"A": 40.0, "B": 60.0}, noise=0.02), own, 8)
    assert rate(found).ratio.value == pytest.approx(1.5, rel=0.05)


def test_a_planted_difference_between_stacks_is_covered_when_they_are_made_anew() -> None:
    """Two stacks of equal code of which one is 7 % faster, given to the arms by a toss at every making."""
    covered, named = 0, 0
    for seed in range(60):
        world = World(rates={"A": 10.0, "B": 10.0}, noise=0.02, seed=seed, costs={"A": {}, "B": {}})
        own = part(arm("A", stack="a", vus=4), arm("B", stack="b", vus=4), first=12)
        for making in range(6):
            lucky = world.random.choice("AB")
            world.play(own, 2, instance=making, shift={lucky: 1.07})
        found = compare_so_far(plan(own, replicated=True), own, world.stretches, Samples(world.uploads, ()))
        interval = rate(found).ratio
        covered += (interval.low or 0.0) <= 1 <= (interval.high or 0.0)
        named += rate(found).winner_named
    assert (covered >= 54, named <= 3) == (True, True)


def test_blocks_between_the_same_two_stacks_do_not_cover_it() -> None:
    """What the replication is for: the same load on one pair of stacks finds a winner that is none."""
    world = World(rates={"A": 40.0, "B": 40.0}, noise=0.02)
    world.play(PAIR, 12, shift={"B": 1.07})
    assert (rate(played(world, PAIR, 1)).ratio.low or 0.0) > 1


class TestCarryOver:
    def test_is_by_what_came_before(self) -> None:
        world = World(rates={"A": 40.0, "B": 40.0})
        world.play(PAIR, 10)
        found = carry_over(PAIR.arms, blocks(world, PAIR))
        assert {(one.arm, one.after) for one in found} == {("A", "A"), ("A", "B"), ("B", "A"), ("B", "B")}
        for one in found:
            assert one.change.value == pytest.approx(1.0, abs=0.03)

    def test_a_slow_beginning_is_seen(self) -> None:
        """Uploads in the first second after B are twice as slow."""
        world = World(rates={"A": 40.0, "B": 40.0})
        world.play(PAIR, 10)
        stretch = world.stretches[0]

        def slow(at: float) -> bool:
            index = int((at - stretch.t0) // 3.0)
            early = (at - stretch.t0) % 3.0 < 1.4
            return early and index > 0 and stretch.order[index - 1] == "B" and stretch.order[index] == "A"

        kept = [u for i, u in enumerate(world.uploads) if not (slow(u.started_at or 0.0) and i % 2)]
        periods = Samples(kept, ()).periods(PAIR, world.stretches)
        found = {
            (o.arm, o.after): o.change for o in carry_over(PAIR.arms, whole_blocks(periods, world.stretches))
        }
        assert (found["A", "B"].low or 0.0) > 1.02
        assert found["B", "A"].value == pytest.approx(1.0, abs=0.03)


def test_sizes_name_where_the_order_turns() -> None:
    small, large = 65_536, 33_554_432
    arms = [
        arm(f"{of} {size}", of=of, file_size_bytes=size, vus=4)
        for size in (small, large)
        for of in ("A", "B")
    ]
    own = part(*arms, name="sizes", kind=PartKind.SIZES, first=6)
    world = World(
        rates={f"A {small}": 60.0, f"B {small}": 40.0, f"A {large}": 10.0, f"B {large}": 15.0}, noise=0.02
    )
    world.play(own, 8)
    found = sizes(plan(own, arms=(arm("A"), arm("B"))), {"sizes": blocks(world, own)}, None)
    assert found is not None
    assert [size.file_size_bytes for size in found.sizes] == [small, large]
    assert found.crossovers == (("A", "B", small, large),)
