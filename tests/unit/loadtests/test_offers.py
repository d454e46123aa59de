"""Arrivals that wait for nobody: what is offered, served, refused, dropped, and what a refusal costs."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.harness.analysis.offers import offers
from loadtests.harness.periods import Period
from loadtests.harness.records.plan import Arm, PartKind
from loadtests.harness.records.result import Offered, Offers
from loadtests.harness.report.tables import summary
from loadtests.harness.sentences import told
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.switchback import arm, part

pytestmark = pytest.mark.unit

COUNTED_S, ROUNDS = 2.0, 8
SERVED_S, REFUSED_S = 0.010, 0.002  # CPU-seconds
CALM = arm("limit at 80 %", of="limit", vus=0, rate_per_s=80.0, of_capacity=0.8)
BUSY = arm("limit at 300 %", of="limit", vus=0, rate_per_s=300.0, of_capacity=3.0)


def period(own: Arm, number: int, *, served: float, refused: int = 0, failed: int = 0) -> Period:
    """One turn in which so many were served, each acknowledged after 50 ms give or take."""
    begin = 100.0 * number
    ours = served * SERVED_S + refused * REFUSED_S
    return Period(
        part="rates", stretch="s001", index=number, block=number, instance=0, arm=own.name, before=None,
        begin=begin, end=begin + COUNTED_S, uploads=served, thirds=(served / 3, served / 3),
        touched=round(served), acknowledged=round(served), became_durable=round(served),
        failed=refused + failed, limited=0, refused=refused,
        acked_s=np.linspace(0.04, 0.06, round(served)), durable_s=np.linspace(0.04, 0.06, round(served)),
        cpu_s=dict.fromkeys(("gateway", "upload", "files", "pg-upload", "pg-files"), ours / 5),
        host_busy_s=2.0, disk_wait_s=0.0, peak_rss_bytes={},
    )  # fmt: skip


@pytest.fixture
def found() -> Offers:
    own = part(CALM, BUSY, name="rates", kind=PartKind.RATES)
    periods = [period(CALM, number, served=160) for number in range(ROUNDS)]
    periods += [period(BUSY, 50 + number, served=200, refused=300, failed=10) for number in range(ROUNDS)]
    made = offers(own, periods, seed=1)
    assert made is not None
    return made


def cell(found: Offers, share: float) -> Offered:
    return next(one for one in found.cells if one.share == share)


def test_what_is_offered_is_served_refused_failed_or_dropped(found: Offers) -> None:
    busy = cell(found, 3.0)
    assert found.capacity_per_s == pytest.approx(100)
    assert busy.uploads_per_s.value == pytest.approx(100)
    assert busy.refused == pytest.approx(0.5)
    assert busy.failed == pytest.approx(10 / 600)
    # 600 due in each turn, 510 begun; one at the edge of each turn is not held against anybody
    assert busy.dropped == pytest.approx((600 - 510 - 1) / 600)
    calm = cell(found, 0.8)
    assert (calm.refused, calm.failed, calm.dropped) == (0, 0, 0)


def test_waits_are_those_of_the_acknowledged(found: Offers) -> None:
    assert cell(found, 3.0).acked_p95.ms.value == pytest.approx(59, abs=0.5)
    assert cell(found, 3.0).acked_p95.ms.low is not None


def test_a_refusal_costs_what_served_uploads_do_not_explain(found: Offers) -> None:
    assert cell(found, 3.0).refusal_cpu_s.value == pytest.approx(REFUSED_S)
    assert cell(found, 0.8).refusal_cpu_s.value is None, "nothing was refused"


def test_without_turns_there_is_nothing_to_say() -> None:
    assert offers(part(CALM, BUSY, name="rates", kind=PartKind.RATES), [], seed=1) is None


def test_the_sentence_comes_first_and_says_what_was_not_served(found: Offers) -> None:
    arms = (make.arm("limit", asked={"ADMISSION": "on"}), make.arm("no limit", asked={"ADMISSION": "off"}))
    result = told(make.result(arms).model_copy(update={"offers": found}))
    assert result.headline.startswith("Limit: 95 of 100 are acknowledged within 59.")
    assert "at 80 % of capacity; 59" in result.headline
    assert "at 300 % of capacity (50 % refused, 1.7 % failed and 15 % not begun)" in result.headline
    assert any(one.text.startswith("A refusal costs 2.00 ms (") for one in result.sentences)


def test_the_first_table_is_of_what_is_offered(found: Offers) -> None:
    arms = (make.arm("limit", asked={"ADMISSION": "on"}), make.arm("no limit", asked={"ADMISSION": "off"}))
    table = summary(make.result(arms, point=PartKind.RATES, offers=found))
    assert table is not None
    assert table.columns == ("arm", "offered", "uploads/s", "p95", "refused")
    assert [(row[1], row[4]) for row in table.rows] == [("80 %", "0 %"), ("300 %", "50 %")]


def test_capacity_is_told_where_an_arm_may_serve_more_than_it(found: Offers) -> None:
    arms = (make.arm("limit", asked={"ADMISSION": "on"}), make.arm("no limit", asked={"ADMISSION": "off"}))
    other = tuple(one.model_copy(update={"arm": "no limit"}) for one in found.cells)
    both = found.model_copy(update={"cells": (*found.cells, *other)})
    text = told(make.result(arms, offers=both)).headline
    assert text.endswith(". Capacity is the slowest arm's, 100 uploads per second.")
    assert "Capacity is" not in told(make.result(arms, offers=found)).headline
