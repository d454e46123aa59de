"""How soon an overload is over: in each turn, over turns, in words, and against what a source claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from loadtests.harness.analysis.recovery import back_after_s, median_of, recoveries
from loadtests.harness.claims import judged_claims
from loadtests.harness.records.plan import Claim, Part, PartKind, Stretch
from loadtests.harness.records.result import Interval, Recovery, Result
from loadtests.harness.records.samples import UploadSample
from loadtests.harness.report.page import view_of
from loadtests.harness.report.tables import tables
from loadtests.harness.report.template import html
from loadtests.harness.sentences import told
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.switchback import T0, arm, part, upload

pytestmark = pytest.mark.unit

CALM_PER_S, TURN_S = 100, 5.0
CALM, BUSY = (
    arm(f"limit at {share:g}", of="limit", vus=0, rate_per_s=share * 100, of_capacity=share)
    for share in (0.8, 3.0)
)
OWN = part(CALM, BUSY, name="rates", kind=PartKind.RATES).model_copy(
    update={"period_s": TURN_S, "washout_s": 2.5}
)


def evenly(begin_s: float, end_s: float = TURN_S, per_s: float = CALM_PER_S) -> np.ndarray[Any, Any]:
    return np.arange(begin_s, end_s, 1 / per_s)


class TestATurn:
    def test_nothing_left_behind_is_back_at_once(self) -> None:
        assert back_after_s(evenly(0.05), TURN_S, CALM_PER_S) == 0, "the first answer takes 50 ms"

    def test_a_second_in_which_nine_tenths_are_served(self) -> None:
        assert back_after_s(evenly(1.25), TURN_S, CALM_PER_S) == pytest.approx(1.2), (
            "95 from then on, 85 before"
        )
        slow = np.concatenate([evenly(0, 2.05, per_s=50), evenly(2.05)])
        assert back_after_s(slow, TURN_S, CALM_PER_S) == pytest.approx(1.9), "92 from then on, 87 before"

    def test_not_within_the_turn(self) -> None:
        assert back_after_s(evenly(0, per_s=50), TURN_S, CALM_PER_S) == float("inf")
        assert back_after_s(np.empty(0), TURN_S, 0.0) == float("inf"), "calm without an upload is none"


class TestOverTurns:
    def test_six_turns_have_their_range(self) -> None:
        assert median_of([0.0, 0.1, 0.2, 0.2, 0.5, 3.0]) == Interval(n=6, value=0.2, low=0.0, high=3.0)

    def test_fewer_have_none(self) -> None:
        assert median_of([0.0, 0.1, 0.2]) == Interval(n=3, value=0.1)

    def test_what_lies_beyond_the_turns_is_not_known(self) -> None:
        inf = float("inf")
        assert median_of([0.0, 0.1, 0.2, 0.2, inf, inf]) == Interval(n=6, value=0.2, low=0.0)
        assert median_of([0.0, 0.1, 0.2, inf, inf, inf]) == Interval(n=6, value=None, low=0.0)


def played(back_s: Sequence[float], order: tuple[str, ...] = (BUSY.name, CALM.name)) -> list[Any]:
    """A stretch of a round for each, in which the calm turn is served from then on; and its uploads."""
    found: list[Any] = []
    for number, since_s in enumerate(back_s):
        stretch = Stretch(
            stretch=f"s{number}", part="rates", t0=T0 + 100 * number, period_s=TURN_S, washout_s=2.5,
            order=order, blocks=(number,) * len(order),
        )  # fmt: skip
        begin = stretch.t0 + TURN_S * order.index(CALM.name)
        acked = begin + evenly(since_s)
        found.append((stretch, [upload(stretch, CALM.name, at - 0.05, at) for at in acked.tolist()]))
    return found


def found(back_s: Sequence[float], own: Part = OWN, **order: Any) -> tuple[Recovery, ...]:
    rounds = played(back_s, **order)
    uploads: list[UploadSample] = [one for _, own_uploads in rounds for one in own_uploads]
    return recoveries(own, [stretch for stretch, _ in rounds], uploads)


SERVED_FROM_S = (
    0.55,
    1.05,
    1.55,
    2.15,
    2.25,
    2.45,
)  # each back 0.05 s before, in the steps that are looked at


def test_every_round_is_a_unit() -> None:
    (one,) = found(SERVED_FROM_S)
    assert (one.arm, one.after_share, one.share, one.turn_s) == ("limit", 3.0, 0.8, TURN_S)
    assert (one.seconds.n, one.not_back) == (6, 0)
    assert one.seconds.value == pytest.approx(1.8)
    assert one.seconds.low == pytest.approx(0.5)
    assert one.seconds.high == pytest.approx(2.4)
    assert one.longest_s == pytest.approx(2.4)
    assert len(one.course) == 10
    assert one.course[0] == 0, "nobody was served in the first half second"
    assert one.course[-1] == pytest.approx(1, abs=0.02)


def test_only_a_turn_right_behind_the_overload_counts() -> None:
    assert found([0.5], order=(CALM.name, BUSY.name)) == ()
    near = OWN.model_copy(update={"arms": (CALM, BUSY.model_copy(update={"of_capacity": 1.25}))})
    assert found([0.5], near) == (), "a rate near the limit leaves nothing behind"


@pytest.fixture(scope="module")
def result() -> Result:
    arms = (make.arm("limit", asked={"ADMISSION": "on"}), make.arm("no limit", asked={"ADMISSION": "off"}))
    (known,) = found(SERVED_FROM_S)
    lost = known.model_copy(
        update={"id": "recovery.no-limit", "arm": "no limit", "longest_s": None, "not_back": 4,
                "seconds": Interval(n=6, value=None, low=2.0)}
    )  # fmt: skip
    offers = make.offers(arms).model_copy(update={"recoveries": (known, lost)})
    return told(make.result(arms).model_copy(update={"offers": offers}))


def test_the_sentences(result: Result) -> None:
    texts = [one.text for one in result.sentences]
    assert (
        "Limit serves 80 % of capacity again, within 10 % of its calm rate, 1.8 s (0.5 to 2.4) after a turn "
        "at 300 %, at most 2.4 s in 6 turns." in texts
    )
    assert (
        "Whether no limit serves 80 % of capacity again, within 10 % of its calm rate, soon after a turn at "
        "300 % was not shown: in 4 of 6 turns of 5 s it did not." in texts
    )


def test_the_table_and_what_links_to_it(result: Result) -> None:
    table = tables(result)["recovery"]
    assert [row[0] for row in table.rows] == ["Limit", "No limit"]
    page = html(view_of(result, make.plan(result), make.manifest(result)))
    for one in result.offers.recoveries if result.offers else ():
        assert f'href="#{one.id}"' in page and f'id="{one.id}"' in page
    assert 'id="chart-recovery"' in page and 'id="chart-offers"' in page
    assert page.index('class="first"') < page.index("Limit serves 80") < page.index("</header>")


@pytest.mark.parametrize(("arm_name", "most", "decision"), [
    ("limit", 5, "holds"), ("limit", 0.3, "refuted"), ("limit", 1, "undecided"), ("no limit", 5, "undecided"),
])  # fmt: skip
def test_a_claim(result: Result, arm_name: str, most: float, decision: str) -> None:
    claim = Claim.model_validate(
        {"source": "s", "claim": "c",
         "decides": [{"metric": "recovery_s", "arm": arm_name, "rate": 3, "most": most}]}
    )  # fmt: skip
    (judged,) = judged_claims(make.plan(result, claims=(claim,)), result)
    assert judged.decision.value == decision
    assert f"claimed at most {most:g} s, measured" in judged.conditions[0].text
