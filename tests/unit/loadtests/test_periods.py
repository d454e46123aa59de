"""Samples to periods: shares of uploads, processor time between looks, whole blocks."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.harness.periods import Period, Samples, Usage, units_of, whole_blocks
from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import Look, UploadSample
from loadtests.harness.records.vocabulary import LedgerClass
from tests.unit.loadtests.switchback import World, arm, part, upload

pytestmark = pytest.mark.unit

PART = part(arm("A"), arm("B"))
STRETCH = Stretch(
    stretch="s001",
    part="compare",
    t0=100.0,
    period_s=3.0,
    washout_s=1.0,
    order=("A", "B", "B", "A"),
    blocks=(0,) * 4,
)


def periods(
    *uploads: UploadSample, looks: tuple[Look, ...] = (), stretch: Stretch = STRETCH
) -> tuple[Period, ...]:
    return Samples(uploads, looks).periods(PART, [stretch])


def shares(*uploads: UploadSample) -> list[float]:
    return [period.uploads for period in periods(*uploads)]


def look(at: float, cpu_s: float, life: int = 1, rss: int = 10) -> Look:
    return Look(at=at, cpu_s={"k6": cpu_s}, lives={"k6": life}, rss_bytes={"k6": rss}, host_busy_s=2 * cpu_s)


class TestShares:
    def test_an_upload_inside_the_counted_part_counts_whole(self) -> None:
        assert shares(upload(STRETCH, "A", 101.5, 102.5)) == [1.0, 0.0, 0.0, 0.0]

    def test_one_that_spans_the_washout_counts_by_the_share_of_its_time(self) -> None:
        assert shares(upload(STRETCH, "A", 100.5, 101.5)) == pytest.approx([0.5, 0.0, 0.0, 0.0])

    def test_what_lies_in_the_other_arms_turn_counts_nowhere(self) -> None:
        assert shares(upload(STRETCH, "A", 102.0, 106.0)) == pytest.approx([0.25, 0.0, 0.0, 0.0])

    def test_two_turns_of_one_arm_on_end_each_count_their_share(self) -> None:
        assert shares(upload(STRETCH, "B", 105.0, 108.0)) == pytest.approx([0.0, 1 / 3, 1 / 3, 0.0])

    def test_only_verified_uploads_count(self) -> None:
        lost = upload(STRETCH, "A", 101.5, 102.5, ledger=LedgerClass.LOST)
        assert shares(lost) == [0.0] * 4

    def test_a_durable_time_before_the_first_request_still_counts_once(self) -> None:
        assert shares(upload(STRETCH, "A", 102.0, 101.9995)) == pytest.approx([1.0, 0.0, 0.0, 0.0])

    def test_an_arm_of_another_part_counts_nowhere(self) -> None:
        assert shares(upload(STRETCH, "C", 101.5, 102.5)) == [0.0] * 4

    def test_thirds_are_of_the_counted_part(self) -> None:
        (first, *_) = periods(upload(STRETCH, "A", 101.0, 101.5), upload(STRETCH, "A", 102.5, 103.0))
        assert first.thirds == pytest.approx((1.0, 1.0))

    def test_shares_of_a_closed_loop_give_its_rate(self) -> None:
        world = World(rates={"A": 40.0, "B": 80.0})
        world.play(PART, 3)
        found = Samples(world.uploads, world.looks).periods(PART, world.stretches)
        for period in found:
            assert period.uploads_per_s == pytest.approx(40.0 if period.arm == "A" else 80.0, rel=0.03)


class TestBegun:
    def test_latencies_are_of_uploads_begun_in_the_counted_part(self) -> None:
        found = periods(
            upload(STRETCH, "A", 100.5, 101.5),
            upload(STRETCH, "A", 102.0, 104.5, acked_at=102.5),
            upload(STRETCH, "B", 104.5, 105.0),
        )
        assert found[0].durable_s.tolist() == pytest.approx([2.5])
        assert found[0].acked_s.tolist() == pytest.approx([0.5])
        assert found[1].durable_s.tolist() == pytest.approx([0.5])

    def test_one_that_begins_in_the_other_arms_turn_is_begun_in_none(self) -> None:
        found = periods(upload(STRETCH, "A", 104.5, 105.0, ledger=LedgerClass.CLEAN_FAILURE, failed_at=105.0))
        assert [(period.failed, len(period.acked_s)) for period in found] == [(0, 0)] * 4

    def test_waiting_counts_from_when_an_arrival_was_due(self) -> None:
        (first, *_) = periods(upload(STRETCH, "A", 102.0, 102.5, scheduled_at=101.5))
        assert first.durable_s.tolist() == pytest.approx([1.0])

    def test_failures_and_refusals_are_counted_where_they_began(self) -> None:
        failed = {
            "ledger": LedgerClass.CLEAN_FAILURE,
            "acked_at": None,
            "durable_at": None,
            "failed_at": 102.0,
        }
        found = periods(
            upload(STRETCH, "A", 101.5, 102.0, **failed, failed_status=500),
            upload(STRETCH, "A", 101.5, 102.0, **failed, failed_status=429),
        )
        assert (found[0].failed, found[0].limited, found[0].touched) == (2, 1, 0)

    def test_promises_and_stored_files_are_counted_when_they_happen(self) -> None:
        found = periods(upload(STRETCH, "B", 104.5, 107.5, acked_at=105.0))
        assert [p.acknowledged for p in found] == [0, 1, 0, 0]
        assert [p.became_durable for p in found] == [0, 0, 1, 0]


class TestUsage:
    def test_straight_lines_join_the_looks(self) -> None:
        found = periods(looks=(look(100.0, 0.0), look(112.0, 6.0)))
        assert [period.cpu_s["k6"] for period in found] == pytest.approx([1.0] * 4)
        assert [period.host_busy_s for period in found] == pytest.approx([2.0] * 4)

    def test_a_new_life_begins_at_nothing(self) -> None:
        looks = [look(100.0, 50.0), look(101.0, 51.0), look(103.0, 1.0, life=2), look(104.0, 2.0, life=2)]
        cpu = Usage(looks).between(np.array([[100.0, 104.0]])).cpu_s
        assert cpu["k6"].tolist() == pytest.approx([3.0])

    def test_nobody_looked_gives_nothing(self) -> None:
        found = periods(looks=(look(100.0, 0.0), look(104.0, 2.0)))
        assert ["k6" in period.cpu_s for period in found] == [True, False, False, False]
        assert found[1].host_busy_s is None

    def test_no_look_at_all(self) -> None:
        assert periods()[0].cpu_s == {}

    def test_peaks_are_the_most_that_was_seen_in_the_period(self) -> None:
        found = periods(looks=(look(100.0, 0.0, rss=90), look(102.0, 1.0, rss=30), look(112.0, 6.0)))
        assert found[0].peak_rss_bytes == {"k6": 30}


class TestBlocks:
    def test_a_cut_stretch_keeps_its_whole_periods_and_blocks(self) -> None:
        world = World(rates={"A": 10.0, "B": 10.0})
        world.play(PART, 3, cut_after_s=26.5)
        found = Samples(world.uploads, world.looks).periods(PART, world.stretches)
        assert [period.index for period in found] == list(range(8))
        assert [block.number for block in whole_blocks(found, world.stretches)] == [0, 1]

    def test_units_are_blocks_or_makings(self) -> None:
        world = World(rates={"A": 10.0, "B": 10.0})
        world.play(PART, 2, instance=0)
        world.play(PART, 2, instance=1)
        blocks = whole_blocks(Samples(world.uploads, ()).periods(PART, world.stretches), world.stretches)
        assert [len(unit) for unit in units_of(blocks, "A", replicated=False)] == [2, 2, 2, 2]
        assert [len(unit) for unit in units_of(blocks, "A", replicated=True)] == [4, 4]

    def test_the_first_period_of_a_stretch_comes_after_nobody(self) -> None:
        assert [period.before for period in periods()] == [None, "A", "B", "B"]
