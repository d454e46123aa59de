"""What is said of a result: near end first, an interval with each number, and nothing without evidence."""

from __future__ import annotations

import re

import pytest

from loadtests.harness.records.plan import NOBODY, Arm, PartKind
from loadtests.harness.records.result import Interval, Ratio, Result, Verdict
from loadtests.harness.records.vocabulary import Validity
from loadtests.harness.sentences import names_of, of_question, told
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate import MULTIPART, PROXY, SINGLE

pytestmark = pytest.mark.unit

A, B = (
    make.arm("A", title="FINALISE=inline", asked={"FINALISE": "inline"}),
    make.arm("B", title="FINALISE=detached", asked={"FINALISE": "detached"}),
)


def first(result: Result) -> str:
    return result.sentences[0].text


def said(result: Result) -> str:
    return "\n".join(sentence.text for sentence in result.sentences)


def two_arms(value: float, half: float = 0.03, **given: object) -> Result:
    """A and B, of which B does so many times as much."""
    rates = [make.ratio("A", "B", value, half=half)]
    return make.result((A, B), compare=make.comparison((A, B), rates=rates), **given)


class TestFirst:
    def test_names_the_best_way_the_size_and_how_far_the_others_are_behind(self) -> None:
        assert first(make.result()) == (
            "Direct in one PUT is the fastest way for files of 1 MiB here: at least 1.11 times, most "
            "likely 1.15 "
            "times (at most 1.20) as fast as through the server in chunks and at least 1.33 times, most "
            "likely "
            "1.39 times (at most 1.44) as fast as direct in parts."
        )

    def test_is_the_headline(self) -> None:
        result = make.result()
        assert result.headline == first(result)

    def test_the_near_end_of_a_slower_arm_comes_first_too(self) -> None:
        text = first(two_arms(0.8))
        assert text.startswith(
            "A (FINALISE=inline) is the faster for files of 1 MiB here: at least 1.21 times, "
        )
        assert "most likely 1.25 times (at most 1.29) as fast as B (FINALISE=detached)" in text

    def test_equal_arms_are_called_equal_within_the_margin(self) -> None:
        text = first(two_arms(1.01))
        assert (
            "B (FINALISE=detached) and A (FINALISE=inline) are equally fast within ±10 %, 1.01 (0.98" in text
        )

    def test_too_close_to_1_is_no_winner(self) -> None:
        text = first(two_arms(1.05, half=0.04))  # from 1.008
        assert text == (
            "No fastest way was shown for files of 1 MiB here: B (FINALISE=detached) measured 1.05 (1.01 "
            "to 1.09) times as fast as A (FINALISE=inline), faster by an amount that may be too small to "
            "matter."
        )

    def test_wide_shows_no_difference(self) -> None:
        assert "which shows no difference" in first(two_arms(1.05, half=0.2))

    def test_no_spread_no_number(self) -> None:
        bare = make.ratio("A", "B", 1.4, n=1)
        interval = bare.ratio.model_copy(update={"low": None, "high": None})
        compare = make.comparison((A, B), rates=[bare.model_copy(update={"ratio": interval})], best=None)
        text = first(make.result((A, B), compare=compare))
        assert "1 block of turns cannot tell" in text and "1.4" not in text

    def test_network_is_said_when_set(self) -> None:
        conditions = make.conditions(rtt_ms=40.0, bandwidth_mbit=100.0)
        text = first(make.result(conditions=conditions))
        assert "files of 1 MiB over a network of 40 ms round trip and 100 Mbit/s here" in text
        assert "network" not in first(make.result())

    def test_never_direct_for_one_of_two_direct_ways(self) -> None:
        for sentence in make.result().sentences:
            assert re.search(r"\b[Dd]irect\b(?! in (one PUT|parts))", sentence.text) is None, sentence

    def test_a_smoke_run_has_no_winner_and_no_ratio(self) -> None:
        result = make.result(profile="smoke")
        assert first(result).startswith("A smoke run names no winner: ")
        assert "times" not in said(result) and "1 MiB" in first(result)

    def test_arms_of_two_sizes(self) -> None:
        large = B.model_copy(update={"file_size_bytes": 64 << 20})
        result = make.result((A, large), compare=make.comparison((A, large)))
        assert "files of 1 MiB or 64 MiB" in first(result)


class TestSeveral:
    """What several pairs show is said once, with the ratio of each."""

    NAMES = ("20 connections", "2 connections", "5 connections", "100 connections")
    ARMS = tuple(make.arm(name, asked={"DB_POOL_MAX": name.split()[0]}) for name in NAMES)

    def over_20(self, **changes: tuple[float, float]) -> list[Ratio]:
        """Each over 20 connections, from one end to the other."""
        ends = {"2": (0.84, 1.06), "5": (0.90, 1.11), "100": (0.86, 1.05)} | changes
        return [over(self.NAMES[0], f"{name} connections", *own) for name, own in ends.items()]

    def said(self, rates: list[Ratio], arms: tuple[Arm, ...] = ARMS, **given: object) -> str:
        return first(make.result(arms, compare=make.comparison(arms, rates=rates, best=None), **given))

    def test_no_difference(self) -> None:
        assert self.said(self.over_20()) == (
            "With files of 1 MiB here: 2, 5 and 100 connections measured 0.95 (0.84 to 1.06), 1.01 (0.90 to "
            "1.11) and 0.96 (0.86 to 1.05) times as fast as 20 connections, which shows no difference."
        )

    def test_an_interval_without_1_never_shows_no_difference(self) -> None:
        """One of three pairs, which Holm takes back."""
        *rates, last = self.over_20(**{"100": (0.79, 0.98)})
        rates.append(last.model_copy(update={"verdict": Verdict.NOT_SHOWN, "winner_named": False}))
        assert self.said(rates) == (
            "With files of 1 MiB here: 2 and 5 connections measured 0.95 (0.84 to 1.06) and 1.01 (0.90 to "
            "1.11) times as fast as 20 connections, which shows no difference; 100 connections measured 0.89 "
            "(0.79 to 0.98) times as fast as 20 connections, a difference that among 3 pairs may be chance."
        )

    def test_slower_by_little_is_a_difference(self) -> None:
        text = self.said(self.over_20(**{"100": (0.79, 0.98)}))
        assert text.endswith(
            "; 20 connections measured 1.13 (1.02 to 1.27) times as fast as 100 connections, faster by an "
            "amount that may be too small to matter."
        )

    def test_too_few_makings_show_neither_a_difference_nor_none(self) -> None:
        rates = [over(A.name, B.name, 0.79, 0.98, n=2)]
        assert self.said(rates, (A, B)).endswith(
            "B (FINALISE=detached) measured 0.89 (0.79 to 0.98) times as fast as A (FINALISE=inline), too "
            "little to judge with 2 blocks of turns."
        )

    def test_an_invalid_run_proves_no_winner(self) -> None:
        rates = [make.ratio(A.name, B.name, 1.3, may_name=False)]
        result = make.result(
            (A, B), compare=make.comparison((A, B), rates=rates, best=None), validity=Validity.INVALID,
            exit_code=2, exit_reason="k6 ended with code 1",
        )  # fmt: skip
        assert "times as fast as A (FINALISE=inline), which an invalid run does not prove." in said(result)

    def test_equal_arms_each_with_each(self) -> None:
        names = ("json-queued", "stdlib-sync", "no log")
        arms = tuple(make.arm(name, asked={"LOGGING": name}) for name in names)
        queued, sync, off = names
        rates = [over(queued, sync, 0.99, 1.05), over(queued, off, 0.97, 1.02), over(sync, off, 0.95, 1.01)]
        assert self.said(rates, arms) == (
            "With files of 1 MiB here: stdlib-sync and no log measured 1.02 (0.99 to 1.05) and 0.99 (0.97 to "
            "1.02) times as fast as json-queued, and no log 0.98 (0.95 to 1.01) times as fast as stdlib-sync,"
            " all equally fast within ±10 %."
        )

    def test_one_block_tells_none_from_another(self) -> None:
        rates = [
            one.model_copy(update={"ratio": Interval(n=1, value=0.9), "verdict": Verdict.NOT_SHOWN})
            for one in self.over_20()
        ]
        assert self.said(rates) == (
            "With files of 1 MiB here: 1 block of turns cannot tell 2, 5 and 100 connections from 20 "
            "connections."
        )

    def test_each_winner_has_its_own_clause(self) -> None:
        rates = self.over_20(**{"100": (0.70, 0.80), "2": (0.70, 0.80)})
        assert self.said(rates).count(" are at least ") == 2


def over(base: str, arm: str, low: float, high: float, n: int = 8) -> Ratio:
    """A ratio with these ends, judged as the analysis judges."""
    value = (low + high) / 2
    return make.ratio(base, arm, value, half=(high - low) / 2 / value, n=n)


class TestAnotherPoint:
    """Where a question is about kills or offered rates, its comparison only says what fits."""

    ARMS = (make.arm("limit", asked={"ADMISSION": "on"}), make.arm("no limit", asked={"ADMISSION": "off"}))

    def result(self, ratio: float, half: float, **given: object) -> Result:
        rates = [make.ratio("limit", "no limit", ratio, half=half)]
        compare = make.comparison(self.ARMS, rates=rates)
        values = {
            "compare": compare,
            "knees": (),
            "neighbours": None,
            "point": PartKind.RATES,
        }
        return make.result(self.ARMS, **(values | {"offers": make.offers(self.ARMS)} | given))

    def test_without_a_winner_it_ends_with_its_own_answer(self) -> None:
        result = self.result(1.03, 0.4)
        answers = [one for one in result.sentences if one.kind == "answer"]
        assert {one.question for one in answers} == {PartKind.RATES}
        for words in ("as fast as", "fastest", "load generator"):
            assert words not in said(result)

    def test_a_winner_is_worth_a_word(self) -> None:
        result = self.result(1.3, 0.04)
        assert result.headline.startswith("Limit: 95 of 100")
        assert "No limit is the faster for files of 1 MiB here: at least 1.25 times" in said(result)

    def test_after_kills_too_and_who_promises_early_is_said_all_the_same(self) -> None:
        names = ("inline", "detached")
        arms = tuple(make.arm(name, asked={"FINALISE": name}) for name in names)
        compare = make.comparison(arms, rates=[make.ratio(*names, 1.0, half=0.6)], early=("detached",))
        result = make.result(
            arms, compare=compare, ledger=make.ledger(arms, early=9), point=PartKind.KILL,
            knees=(), neighbours=None, kills=make.kills(inline=(0, 0), detached=(5, 7)), limits=(),
        )  # fmt: skip
        assert "as fast as" not in said(result)
        *_, last = [one for one in result.sentences if one.kind == "answer"]
        assert last.text.startswith("Detached acknowledges before the file is durable")

    def test_what_fits_has_a_limit_only_where_it_was_found(self) -> None:
        assert "What set the rate: all processors (" in said(self.result(1.03, 0.4))
        unknown = tuple(make.limit(one.name, None) for one in self.ARMS)
        assert "What set the rate" not in said(self.result(1.03, 0.4, limits=unknown))

    def test_a_smoke_run_says_how_much_it_uploaded(self) -> None:
        assert self.result(1.03, 0.4, profile="smoke").headline.startswith("A smoke run names no winner: ")


class TestSame:
    EQUAL = (make.arm("A", title="as it is"), make.arm("B", title="as it is"))

    def test_an_aa_says_what_the_machine_can_show(self) -> None:
        compare = make.comparison(self.EQUAL, rates=[make.ratio("A", "B", 1.01, half=0.03)])
        assert first(make.result(self.EQUAL, compare=compare)) == (
            "This machine can show differences above 4 % for files of 1 MiB: two equal arms (A/A) "
            "measured 1.01 "
            "(0.98 to 1.04) times as fast as each other."
        )

    def test_an_aa_that_differs_says_so(self) -> None:
        compare = make.comparison(self.EQUAL, rates=[make.ratio("A", "B", 1.2, half=0.03)])
        assert "does not hold 1" in first(make.result(self.EQUAL, compare=compare))

    @pytest.mark.parametrize(("other", "same"), [("1" * 40, True), ("2" * 40, False)])
    def test_two_revisions_are_an_aa_when_their_code_is_equal(self, other: str, same: bool) -> None:
        arms = tuple(
            one.model_copy(update={"asked": {"REVISION": name}})
            for one, name in zip(self.EQUAL, ("main", "here"), strict=True)
        )
        conditions = make.conditions(revisions={"A": "1" * 40, "B": other})
        rates = [make.ratio("A", "B", 1.01, unit="instance")]
        result = make.result(arms, compare=make.comparison(arms, rates=rates), conditions=conditions)
        assert ("two stacks of equal code (A/A)" in first(result)) is same


class TestHonesty:
    def test_every_measured_number_has_its_interval(self) -> None:
        """A number with a unit of measurement is followed by an interval, or is an end of one."""
        text = said(make.result())
        for found in re.finditer(r"(\d+\.\d+) (ms|times)(?! \(| as fast)", text):
            before = text[: found.start()]
            assert before.endswith(("at least ", " to ")) or before.rstrip()[-1] == "(", found

    def test_no_because(self) -> None:
        assert "because" not in said(make.result())

    def test_what_set_the_rate_only_with_evidence(self) -> None:
        assert "What set the rate: all processors (1.9 of 2 cores were busy)." in said(make.result())
        blank = make.result(limits=tuple(make.limit(one.name, None) for one in make.STRATEGIES))
        assert "What set the rates was not identified." in said(blank)

    def test_equal_evidence_is_said_once_and_other_behind_its_arm(self) -> None:
        arms = tuple(
            make.arm(name, asked={"RTT_MS": name}) for name in ("near", "far", "farther", "farthest")
        )
        busy, others = "1.9 of 2 cores were busy", "0.3 of them with other programs"
        limits = [make.limit("near"), make.limit("far"), make.limit("farther"), make.limit("farthest", None)]
        limits[1] = limits[1].model_copy(update={"evidence": f"{busy}, {others}"})
        result = make.result(arms, compare=make.comparison(arms), limits=tuple(limits))
        assert f"What set the rate of near, far and farther: all processors ({busy}; far: {others})." in said(
            result
        )
        alike = tuple(one.model_copy(update={"evidence": f"{busy}, {others}"}) for one in limits)
        assert f"all processors ({busy}, {others})." in said(
            told(result.model_copy(update={"limits": alike}))
        )

    def test_a_limit_of_one_arm_is_that_arm_s(self) -> None:
        limits = (
            make.limit(PROXY, "one core of upload"),
            make.limit(MULTIPART, None),
            make.limit(SINGLE, None),
        )
        assert "What set the rate of through the server in chunks: one core of upload (" in said(
            make.result(limits=limits)
        )

    def test_the_client_s_own_work_stands_beside_the_ratio_where_the_machine_was_full(self) -> None:
        text = said(make.result())
        assert (
            "each upload took the load generator 4.00 ms (3.88 to 4.12) through the server in chunks" in text
        )
        assert "part of their ratios is the client's own work" in text
        assert "the load generator" not in said(make.result(limits=()))

    def test_only_arms_that_filled_the_machine_are_said_to_share_it_with_the_client(self) -> None:
        idle = make.limit(MULTIPART, None)
        text = said(make.result(limits=(make.limit(PROXY), idle, make.limit(SINGLE))))
        sentence = text.split("All processors were busy")[1].split(":")[0]
        assert "through the server in chunks" in sentence and "direct in one PUT" in sentence
        assert "direct in parts" not in sentence

    def test_the_ratio_without_the_client_s_work_stands_there_too(self) -> None:
        assert (
            "With the load generator on a machine of its own, direct in one PUT would be at least 1.16 "
            "times, most likely 1.21 times (at most 1.26) as fast as through the server in chunks and at "
            "least 1.26 times, most likely 1.31 times (at most 1.36) as fast as direct in parts, if all else "
            "cost the same."
        ) in said(make.result())
        assert "of its own" not in said(make.result(limits=(make.limit(SINGLE),)))

    def test_without_a_winner_the_arm_that_measured_more_comes_first(self) -> None:
        compare = make.comparison((A, B), rates=[make.ratio("A", "B", 1.0)])
        without = make.ratio("A", "B", 0.98, metric="uploads_per_s_without_k6")
        compare = compare.model_copy(update={"ratios": (*compare.ratios[:3], without)})
        limits = (make.limit("A"), make.limit("B"))
        assert (
            "A (FINALISE=inline) would be 1.02 (0.98 to 1.06) times as fast as B (FINALISE=detached)"
            in said(make.result((A, B), compare=compare, limits=limits))
        )

    def test_an_early_acknowledgement_is_said_second(self) -> None:
        compare = make.comparison((A, B), rates=[make.ratio("A", "B", 1.3)], early=("B",))
        result = make.result((A, B), compare=compare, ledger=make.ledger((A, B), early=900))
        assert result.sentences[1].text.startswith(
            "B (FINALISE=detached) acknowledges before the file is durable"
        )
        assert result.sentences[1].evidence == "compare.B"

    def test_early_acknowledgements_of_nobody_in_particular_are_counted(self) -> None:
        result = make.result(ledger=make.ledger(early=3))
        assert result.sentences[1].text == "3 uploads of 7,503 were acknowledged before they were durable."

    def test_an_invalid_run_says_so_first(self) -> None:
        compare = make.comparison(rates=[make.ratio(PROXY, SINGLE, 1.3, may_name=False)])
        result = make.result(
            validity=Validity.INVALID, exit_code=2, exit_reason="k6 ended with code 1", compare=compare,
            next_command="make doctor",
        )  # fmt: skip
        assert result.sentences[0].kind == "invalid"
        assert first(result) == "This run is invalid: k6 ended with code 1. Next: make doctor."
        assert "fastest way for" not in said(result)

    def test_nothing_measured(self) -> None:
        result = make.result(
            compare=None, knees=(), neighbours=None, sizes=None, exit_code=3,
            exit_reason="the run was interrupted", interrupted=True,
        )  # fmt: skip
        assert first(result) == "Nothing was compared: the run was interrupted."

    def test_every_sentence_names_evidence_and_is_one(self) -> None:
        for sentence in make.result().sentences:
            assert sentence.evidence and sentence.text.endswith(".") and sentence.text[0].isupper()


class TestOthers:
    def test_price_of_two_arms_has_its_ratio(self) -> None:
        costs = make.ratio("A", "B", 1.2, metric="cpu_s_per_upload")
        compare = make.comparison((A, B), rates=[make.ratio("A", "B", 1.0)])
        compare = compare.model_copy(update={"ratios": (*compare.ratios[:1], costs)})
        assert (
            "12.0 ms (11.6 to 12.4) for B (FINALISE=detached); B (FINALISE=detached) takes at least 1.15 "
            "times, "
            "most likely 1.20 times (at most 1.25) that of A (FINALISE=inline)."
        ) in said(make.result((A, B), compare=compare))

    @pytest.mark.parametrize(
        ("low", "high", "text"),
        [
            (4, 12, "Taking all ways together, more clients bring more uploads until between 4 and 12 at "
             "once: 12 bring at least 1.36 times, most likely 1.40 times (at most 1.44) the rate of 4, and "
             "24 bring less than 10 % more than 12, 1.02 (0.99 to 1.05) times their rate."),
            (None, 12, "Taking all ways together, more clients bring more uploads until at most 12 at once: "
             "24 bring less than 10 % more than 12, 1.02 (0.99 to 1.05) times their rate."),
            (4, None, "Taking all ways together, more clients bring more uploads beyond 4 at once: 12 bring "
             "at least 1.36 times, most likely 1.40 times (at most 1.44) the rate of 4; until when was not "
             "shown with up to 48, the most tried; PROFILE=full measures longer."),
            (None, None, "Until how many clients more of them bring more uploads was not found (neither a "
             "gain of 10 % nor its absence was shown); PROFILE=full measures longer."),
        ],
    )  # fmt: skip
    def test_a_knee_has_two_ends_or_one_or_is_said_to_be_missing(
        self, low: int | None, high: int | None, text: str
    ) -> None:
        made = make.result(common_knee=make.common_knee(low, high))
        (found,) = of_question(made, PartKind.LEVELS)
        assert (found.text, found.evidence) == (text, "knee")

    def test_the_knee_of_a_single_way_is_not_one_of_all_together(self) -> None:
        (found,) = of_question(make.result(knees=(make.knee(PROXY),)), PartKind.LEVELS)
        assert found.text.startswith("More clients bring more uploads until between 4 and 12 at once: ")

    def test_too_few_logins_are_said_with_what_helps(self) -> None:
        whole = make.result()
        assert whole.neighbours is not None
        few = make.latency(0.95, 9.0, 40).model_copy(update={"ms": Interval(n=4, value=None)})
        arms = tuple(one.model_copy(update={"login_p95": few}) for one in whole.neighbours.arms)
        neighbours = whole.neighbours.model_copy(update={"arms": arms})
        (found,) = of_question(make.result(neighbours=neighbours), PartKind.NEIGHBOURS)
        assert found.text == (
            "How long others wait beside uploads cannot be said: beside one of the ways only 40 logins in 4 "
            "turns were measured, and it takes 100 in at least 6; PROFILE=full measures longer."
        )

    def test_no_size_has_a_winner(self) -> None:
        whole = make.result().sizes
        assert whole is not None
        every = tuple(
            one.model_copy(update={"comparison": one.comparison.model_copy(update={"best": None})})
            for one in whole.sizes
        )
        sizes = whole.model_copy(update={"sizes": every, "crossovers": ()})
        (found,) = of_question(make.result(sizes=sizes, profile="full"), PartKind.SIZES)
        assert found.text == ("No fastest way was shown for files of 64 KiB, 1 MiB, 8 MiB or 32 MiB.")

    def test_neighbours_with_nobody_last(self) -> None:
        (found,) = of_question(make.result(), PartKind.NEIGHBOURS)
        assert found.text.startswith(
            "While 26.0 uploads arrive per second, 95 of 100 logins take at most 25.0 ms (23.0 to 27.0) "
            "beside uploads "
            "through the server in chunks, "
        )
        assert "and 12.0 ms (11.0 to 13.0) while nobody uploads; file lists" in found.text

    def test_sizes(self) -> None:
        best, turn = of_question(make.result(), PartKind.SIZES)
        assert re.fullmatch(
            r"Direct in one PUT is faster than through the server in chunks for files up to 1 MiB, "
            r"1\.\d\d \(1\.\d\d to 1\.\d\d\) times as fast, and slower from 32 MiB on, "
            r"0\.\d\d \(0\.\d\d to 0\.\d\d\) times as fast\.",
            turn.text,
        )
        assert re.match(
            r"For files of 64 KiB and 1 MiB direct in one PUT is the fastest way here, "
            r"1\.\d\d \(1\.\d\d to 1\.\d\d\) times as fast as [a-z ]+ at 64 KiB",
            best.text,
        )
        assert "for files of 8 MiB no way is shown to be faster than all others, where " in best.text

    def test_they_come_first_where_they_are_what_is_asked_for(self) -> None:
        result = make.result()
        asked = told(result.model_copy(update={"asks_for": "sizes"}))
        best, turn = of_question(result, PartKind.SIZES)
        assert [one.text for one in asked.sentences[:2]] == [best.text, turn.text]
        assert sorted(one.text for one in asked.sentences) == sorted(one.text for one in result.sentences)

    def test_arms_that_share_a_strategy_go_by_their_names(self) -> None:
        arms = tuple(make.arm(name, title="Through the server in chunks") for name in ("inline", "queued"))
        names = names_of(make.result(arms, compare=make.comparison(arms)))
        assert names == {NOBODY: "nobody", "inline": "inline", "queued": "queued"}

    def test_saying_it_twice_says_the_same(self) -> None:
        result = make.result()
        assert told(result) == result


class TestReadsKeptFromTheDatabases:
    """A question about reads is answered with them, before anything of speed."""

    @staticmethod
    def asked(statements: float | None, reads: int = 10) -> Result:
        arms = tuple(make.arm(name).model_copy(update={"reads": reads}) for name in ("no cache", "memory"))
        result = make.result(arms, compare=make.comparison(arms))
        prices = tuple(
            make.result().prices[0].model_copy(update={"arm": arm.name, "statements": counted})
            for arm, counted in zip(arms, (15.0, statements), strict=True)
        )
        return result.model_copy(update={"asks_for": "reads", "prices": prices})

    def test_of_each_arm_over_the_first(self) -> None:
        assert told(self.asked(6.0)).headline == (
            "Of the 10 reads that follow an upload, memory keeps 9 (90 %) from the databases: the SQL "
            "statements of an upload with its reads are 15 for no cache and 6 for memory, counted over the "
            "whole load."
        )

    @pytest.mark.parametrize(("statements", "reads"), [(None, 10), (6.0, 0)])
    def test_where_none_were_counted_speed_is_what_can_be_said(
        self, statements: float | None, reads: int
    ) -> None:
        assert "as fast as" in told(self.asked(statements, reads)).headline


class TestTheShareOfAProcess:
    """A question that asks how much one process takes is answered with that, before anything of speed."""

    def test_of_the_load_generator_with_the_ratios_as_they_would_be_without_it(self) -> None:
        found = told(make.result().model_copy(update={"share_of": "k6"}))
        (single,) = [one for one in found.compare.arms if one.arm.name == SINGLE] if found.compare else []
        used = {name: one.value or 0.0 for name, one in single.cpu_s_by_process.items()}
        share = used["k6"] / sum(used.values())
        assert found.headline.startswith("Of the processor time that was spent, the load generator takes ")
        assert f"{share * 100:.0f} % (" in found.headline
        assert re.search(
            r"direct in one PUT measured 1\.\d\d \(1\.\d\d to 1\.\d\d\) times as fast as .*, and would be "
            r"1\.\d\d \(1\.\d\d to 1\.\d\d\) times as fast with the load generator on a machine of its own",
            found.headline,
        )
        assert not any("would be at least" in one.text for one in found.sentences[1:]), "once"
        assert found.sentences[1].kind == "detail" and "as fast as" in found.sentences[1].text

    def test_of_the_auth_service_in_that_of_the_services(self) -> None:
        arms = (make.arm("slow hash"), make.arm("quick hash"))
        compared = make.comparison(arms)
        used = {name: make.around(0.002, 0.0) for name in ("gateway", "upload", "files")}
        slow, quick = (
            one.model_copy(update={"cpu_s_by_process": used | {"auth": make.around(taken, 0.0)}})
            for one, taken in zip(compared.arms, (0.018, 0.002), strict=True)
        )
        compared = compared.model_copy(update={"arms": (slow, quick)})
        found = told(make.result(arms, compare=compared).model_copy(update={"share_of": "auth"}))
        assert found.headline == (
            "Of the services' processor time auth takes 75 % (75 % to 75 %) for slow hash and 25 % (25 % to"
            " 25 %) for quick hash."
        )

    def test_where_it_was_not_watched_speed_is_what_can_be_said(self) -> None:
        compared = make.result().compare
        assert compared is not None
        blind = tuple(one.model_copy(update={"cpu_s_by_process": {}}) for one in compared.arms)
        result = make.result(compare=compared.model_copy(update={"arms": blind}))
        assert told(result.model_copy(update={"share_of": "k6"})).headline == result.headline
