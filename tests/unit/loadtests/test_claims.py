"""What is claimed against what was measured: numbers, directions, several things, and who may decide."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loadtests.harness.claim_figures import quotient
from loadtests.harness.claim_reasons import doubt
from loadtests.harness.claims import Decision, decide, ending, judged_claims, nothing_changed, together
from loadtests.harness.intervals import of_all
from loadtests.harness.records.plan import Claim, Decides
from loadtests.harness.records.result import Interval, Result
from loadtests.harness.records.vocabulary import Validity
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate import MULTIPART, PROXY, SINGLE

pytestmark = pytest.mark.unit

HOLDS, REFUTED, UNDECIDED = Decision.HOLDS, Decision.REFUTED, Decision.UNDECIDED


def wanted(**given: Any) -> Decides:
    return Decides.model_validate({"metric": "uploads_per_s", "arm": SINGLE, "over": PROXY, **given})


def claim(*decides: Decides, **given: Any) -> Claim:
    return Claim.model_validate({"source": "s", "claim": "c", "decides": decides, **given})


def judged(result: Result, *decides: Decides, **given: Any) -> Decision:
    (found,) = judged_claims(make.plan(result, claims=(claim(*decides, **given),)), result)
    return found.decision


def between(low: float, high: float, n: int = 8) -> Interval:
    return Interval(n=n, value=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("given", "low", "high", "decision"),
    [
        ({"least": 1.46}, 1.40, 1.60, HOLDS),  # within the margin of the number
        ({"least": 1.46}, 1.20, 1.40, UNDECIDED),
        ({"least": 1.46}, 0.95, 1.05, REFUTED),
        ({"most": 0.5}, 0.30, 0.40, HOLDS),
        ({"most": 0.5}, 0.60, 0.70, REFUTED),
        ({"least": 0.7, "most": 0.8}, 0.72, 0.86, HOLDS),
        ({"least": 0.7, "most": 0.8}, 0.93, 0.95, REFUTED),
        ({"most": 0.1}, -0.03, 0.04, HOLDS),  # what is next to nothing may measure less than that
        ({"shows": "more"}, 1.05, 1.30, HOLDS),
        ({"shows": "more"}, 1.01, 1.30, UNDECIDED),  # too near to 1 to name anything
        ({"shows": "more"}, 0.95, 1.05, REFUTED),  # equal within the margin is not more
        ({"shows": "more"}, 0.70, 0.80, REFUTED),
        ({"shows": "more"}, 0.85, 1.20, UNDECIDED),
        ({"shows": "less"}, 0.70, 0.80, HOLDS),
        ({"shows": "less"}, 1.20, 1.30, REFUTED),
        ({"shows": "equal"}, 0.95, 1.05, HOLDS),
        ({"shows": "equal"}, 1.02, 1.08, HOLDS),  # a difference that does not matter
        ({"shows": "equal"}, 1.20, 1.30, REFUTED),
        ({"shows": "equal"}, 0.85, 1.20, UNDECIDED),
    ],
)
def test_an_interval_against_a_claim(
    given: dict[str, Any], low: float, high: float, decision: Decision
) -> None:
    assert decide(wanted(**given), between(low, high), 0.10) is decision


def test_too_few_units_decide_no_direction() -> None:
    assert decide(wanted(shows="more"), between(1.5, 1.6, n=5), 0.10) is UNDECIDED
    assert decide(wanted(least=1.2), Interval(n=8, value=1.3), 0.10) is UNDECIDED


@pytest.mark.parametrize(
    ("decisions", "whole"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, REFUTED], Decision.MIXED),
        ([REFUTED, UNDECIDED], REFUTED),  # all must hold, and one does not
        ([HOLDS, UNDECIDED], UNDECIDED),
        ([Decision.NOT_REACHED], Decision.NOT_REACHED),
    ],
)
def test_a_claim_of_several_things(decisions: list[Decision], whole: Decision) -> None:
    assert together(decisions) is whole


def test_a_ratio_from_ends_to_ends_is_never_too_narrow() -> None:
    found = quotient(between(20, 30), between(10, 12))
    assert (found.low, found.high) == (20 / 12, 3.0)
    assert quotient(between(20, 30), Interval(n=8, value=None)).value is None


def test_a_share_has_an_exact_interval() -> None:
    """Clopper and Pearson 1934: none of 100 is at most 3.6 %."""
    found = of_all(0, 100)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.0362, abs=1e-4)


def test_none_is_said_with_the_most_that_it_may_be() -> None:
    result = make.result()
    counted = {PROXY: {"verified": 7797}}
    quiet = result.model_copy(update={"ledger": result.ledger.model_copy(update={"by_arm": counted})})
    share = wanted(metric="ghost_share", arm=PROXY, over=None, most=0.002)
    (found,) = judged_claims(make.plan(quiet, claims=(claim(share),)), quiet)
    assert found.conditions[0].text == (
        "share of uploads that were acknowledged and are gone (files of 1 MiB), through the server in "
        "chunks: "
        "claimed at most 0.2 %, measured 0 % (at most 0.05 %): holds"
    )


def test_every_condition_names_the_size_of_its_files() -> None:
    """That of its part, else those of its arms."""
    small = make.arm(SINGLE, file_size_bytes=64 * 1024)
    result = make.result((make.arm(PROXY), small, make.arm(MULTIPART)))
    asked = (
        wanted(shows="more"), wanted(over=MULTIPART, file_size="8MiB", shows="more"),
        wanted(metric="failed_share", over=None, most=0.1),
    )  # fmt: skip
    (found,) = judged_claims(make.plan(result, claims=(claim(*asked),)), result)
    assert [one.text.partition(", direct in one PUT")[0] for one in found.conditions] == [
        "uploads per second (files of 1 MiB and 64 KiB)",
        "uploads per second (files of 8 MiB)",
        "share of uploads that failed (files of 64 KiB)",
    ]


class TestARun:
    def test_the_comparison_s_own_ratio_decides_whichever_way_round(self) -> None:
        result = make.result()  # one PUT is 97/84 times as fast
        assert judged(result, wanted(shows="more")) is HOLDS
        assert judged(result, wanted(arm=PROXY, over=SINGLE, shows="less")) is HOLDS
        assert judged(result, wanted(least=1.46)) is REFUTED

    def test_the_price_and_the_neighbours(self) -> None:
        result = make.result()
        assert judged(result, wanted(metric="cpu_s_per_upload", shows="less")) is HOLDS
        assert judged(result, wanted(metric="login_p95_ms", least=1.1)) is not REFUTED
        assert judged(result, wanted(metric="statements", most=0.5)) is REFUTED

    def test_offered_rates_and_what_a_refusal_costs(self) -> None:
        result = make.result().model_copy(update={"offers": make.offers()})
        waits = wanted(metric="acked_p95_ms", arm=PROXY, over=PROXY, rate=3.0, over_rate=0.8, most=1.2)
        assert judged(result, waits) is REFUTED, "90 ms over 40 ms"
        price = wanted(metric="refusal_share", arm=PROXY, over=None, rate=3.0, over_rate=0.8, most=0.1)
        assert judged(result, price) is REFUTED, "2.4 of 12 ms"
        cost = wanted(
            metric="cpu_s_per_upload", arm=PROXY, over=PROXY, rate=3.0, over_rate=0.8, shows="equal"
        )
        assert judged(result, cost) is HOLDS
        assert judged(make.result(), waits) is UNDECIDED, "no rates were offered"

    def test_a_file_size_has_a_comparison_of_its_own(self) -> None:
        result = make.result()
        assert result.sizes is not None
        known = result.sizes.sizes[0].file_size_bytes
        assert judged(result, wanted(file_size=known, shows="more")) in (HOLDS, REFUTED, UNDECIDED)
        assert judged(result, wanted(file_size=12345, shows="more")) is UNDECIDED

    def test_a_share_of_the_processors(self) -> None:
        compare = make.comparison()
        arms = [
            arm.model_copy(
                update={
                    "cpu_s_by_process": {
                        name: make.around(value, 0.01)
                        for name, value in (("gateway", 1), ("auth", 7), ("upload", 1), ("files", 1))
                    }
                }
            )
            for arm in compare.arms
        ]
        result = make.result(compare=compare.model_copy(update={"arms": tuple(arms)}))
        share = Decides.model_validate(
            {"metric": "cpu_share", "process": "auth", "arm": PROXY, "least": 0.7, "most": 0.8}
        )
        assert judged(result, share) is HOLDS

    def test_where_there_was_no_ghost_none_can_be_taken_away(self) -> None:
        result = make.result()
        ledger = result.ledger.model_copy(
            update={"by_arm": {PROXY: {"verified": 900}, SINGLE: {"verified": 900}}}
        )
        quiet = result.model_copy(update={"ledger": ledger})
        assert judged(quiet, wanted(metric="ghost_share", shows="less")) is Decision.NOT_REACHED
        lost = ledger.model_copy(
            update={"by_arm": {PROXY: {"verified": 800, "G-02": 100}, SINGLE: {"verified": 890, "G-02": 10}}}
        )
        found = result.model_copy(update={"ledger": lost})
        assert judged(found, wanted(metric="ghost_share", shows="less")) is HOLDS

    def test_a_level_that_was_not_there_is_not_reached(self) -> None:
        assert judged(make.result(), wanted(shows="more"), from_vus=850) is Decision.NOT_REACHED
        assert judged(make.result(), wanted(shows="more"), from_vus=16) is HOLDS

    def test_an_arm_that_did_not_run(self) -> None:
        assert judged(make.result(), wanted(arm="another", shows="more")) is Decision.NOT_RUN

    @pytest.mark.parametrize(
        "given",
        [{"profile": "smoke"}, {"validity": Validity.INVALID}, {"exit_code": 1}],
    )
    def test_smoke_and_invalid_runs_decide_nothing(self, given: dict[str, Any]) -> None:
        result = make.result().model_copy(update=given)
        (found,) = judged_claims(make.plan(result, claims=(claim(wanted(shows="more")),)), result)
        assert found.decision is UNDECIDED and found.why
        assert "holds" not in found.conditions[0].text

    def test_requests_are_no_uploads(self) -> None:
        result = make.result()
        claims = (claim(wanted(arm=MULTIPART, least=1.46)),)
        plan = make.plan(result, claims=claims, requests_per_upload={PROXY: 2, MULTIPART: 5})
        (found,) = judged_claims(plan, result)
        assert found.decision is REFUTED
        assert found.why.startswith("An upload takes 5 requests direct in parts and 2 requests through")


class TestReasons:
    """What the default run shows: one PUT 97/84 times as fast, for less time of the busy processors."""

    def why(self, result: Result, *decides: Decides, **given: Any) -> str:
        (found,) = judged_claims(make.plan(result, claims=(claim(*decides),), **given), result)
        return found.why

    def test_the_processes_that_take_more_time_are_named(self) -> None:
        result = make.result()
        told = "The processors were the limit, and an upload takes "
        way = " times as much of their time through the server in chunks as direct in one PUT: "
        for asked in (wanted(shows="more"), wanted(arm=PROXY, over=SINGLE, shows="less")):
            why = self.why(result, asked)
            assert why.startswith(told) and way in why
            more, *parts = re.findall(r"([0-9.]+) ms", why)
            assert 0.7 * float(more) <= sum(map(float, parts)) <= 1.1 * float(more)

    def test_where_the_processors_were_not_the_limit_their_time_is_no_reason(self) -> None:
        idle = make.result(limits=(make.limit(SINGLE, None), make.limit(PROXY)))
        assert self.why(idle, wanted(shows="more")) == ""
        waits = self.why(idle, wanted(shows="more"), requests_per_upload={PROXY: 5, SINGLE: 3})
        assert waits == (
            "The processors were not the limit; an upload takes 3 requests direct in one PUT and 5 requests "
            "through the server in chunks, and each of them waits."
        )
        assert self.why(idle, wanted(shows="more"), requests_per_upload={PROXY: 2, SINGLE: 3}) == ""

    def test_equal_rates_for_equal_time(self) -> None:
        arms = (make.arm("one", asked={"VUS": "2"}), make.arm("two", asked={"VUS": "3"}))
        rates = [
            make.ratio("one", "two", 1.01, metric=name) for name in ("uploads_per_s", "cpu_s_per_upload")
        ]
        limits = (make.limit("one"), make.limit("two"))
        same = make.result(arms, compare=make.comparison(arms, rates=rates), limits=limits, neighbours=None)
        assert self.why(same, wanted(arm="two", over="one", shows="equal")).startswith(
            "An upload takes as much processor time either way: 1.01 ("
        )

    @pytest.mark.parametrize(
        ("given", "low", "high", "p", "text"),
        [
            ({"shows": "more"}, 0.90, 1.20, None, "holds 1: it may"),
            ({"shows": "equal"}, 0.85, 1.20, None, "holds 1, and is wider than ±10 %"),
            ({"shows": "more"}, 1.05, 1.30, 0.2, "Among so many pairs"),
            ({"shows": "more"}, 1.01, 1.30, 0.01, "too close to 1"),
            ({"most": 0.8}, 0.87, 0.89, None, "reaches across what is claimed with its margin of 10 %"),
        ],
    )
    def test_why_nothing_was_decided(
        self, given: dict[str, Any], low: float, high: float, p: float | None, text: str
    ) -> None:
        one, measured = wanted(**given), between(low, high)
        assert decide(one, measured, 0.1, p) is UNDECIDED
        assert text in doubt(one, measured, 0.1, p)

    def test_too_little_decides_nothing(self) -> None:
        assert doubt(wanted(shows="more"), Interval(n=0, value=None), 0.1, None).startswith("Too little")


def test_a_question_that_compares_some_pairs_says_nothing_of_a_fastest_one() -> None:
    arms = tuple(make.arm(name, asked={"VUS": name[-1]}) for name in ("at 1", "at 2", "at 3"))
    rates = [make.ratio("at 1", "at 2", 1.2), make.ratio("at 1", "at 3", 1.0)]
    result = make.result(arms, compare=make.comparison(arms, rates=rates, best=None))
    assert result.headline.startswith("With files of 1 MiB here: at 2 is at least 1.15 times")


class TestTheEnding:
    def test_without_a_claim_and_an_expectation_there_is_none(self) -> None:
        result = make.result()
        assert ending(make.plan(result), result) == []

    def test_claimed_measured_verdict_and_why(self) -> None:
        result = make.result()
        lines = ending(make.plan(result, claims=(make.CLAIM,), expected="Less."), result)
        assert [name for name, _ in lines] == [
            "claimed (A source)", "measured", "verdict", "because", "expected before measuring, not judged",
            "why",
        ]  # fmt: skip
        named = dict(lines)
        assert named["measured"].startswith(
            "Uploads per second (files of 1 MiB), direct in parts over through the server in chunks: "
            "claimed at least 1.46 times, measured 0.83"
        )
        assert named["verdict"] == "refuted"
        assert "all processors" in named["why"]

    def test_without_evidence_there_is_no_reason(self) -> None:
        quiet = make.result(limits=())
        assert dict(ending(make.plan(quiet, expected="x"), quiet))["why"] == "Not identified."

    def test_arms_that_change_nothing_say_so(self) -> None:
        arms = (make.arm("one", asked={"VUS": "2"}), make.arm("two", asked={"VUS": "3"}))
        same = make.comparison(arms, rates=[make.ratio("one", "two", 1.01)])
        equal = make.result(arms, compare=same, neighbours=None)
        assert nothing_changed(make.plan(equal), equal).startswith(
            "The arms change nothing that can be measured"
        )
        wide = make.comparison(arms, rates=[make.ratio("one", "two", 1.01, half=0.2)], half_width=0.2)
        unsure = make.result(arms, compare=wide, neighbours=None)
        assert "one of 40 % in uploads per second would most likely" in nothing_changed(
            make.plan(unsure), unsure
        )
        differ = make.comparison(arms, rates=[make.ratio("one", "two", 1.3)])
        apart = make.result(arms, compare=differ, neighbours=None)
        assert nothing_changed(make.plan(apart), apart) == ""
