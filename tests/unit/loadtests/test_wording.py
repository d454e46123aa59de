"""Numbers as words, and the terms that a report explains."""

from __future__ import annotations

import pytest

from loadtests.harness import wording
from loadtests.harness.records.plan import NOBODY
from loadtests.harness.records.result import Interval
from loadtests.harness.report import glossary
from loadtests.harness.report.template import linked
from tests.unit.loadtests.switchback import arm

pytestmark = pytest.mark.unit


class TestTerms:
    def test_first_use_links_and_the_text_is_escaped(self) -> None:
        shown = linked("VU < block, block")
        assert shown.count('href="#term-block"') == 1
        assert shown.count('href="#term-vu"') == 1
        assert "&lt;" in shown

    def test_a_setting_is_no_term(self) -> None:
        assert "term-vu" not in linked("make stress VUS=8")

    def test_a_number_keeps_its_unit(self) -> None:
        assert "12\u00a0ms" in linked("12 ms")

    def test_words_a_newcomer_asks_for(self) -> None:
        asked = {"VU", "real users", "RPS", "percentiles", "iteration", "knee", "pool wait", "block", "A/A"}
        assert asked <= set(glossary.spellings())

    def test_spellings_are_unique(self) -> None:
        spelt = [word.lower() for term in glossary.TERMS for word in (term.name, *term.also)]
        assert len(spelt) == len(set(spelt))


class TestWords:
    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "–"), (0, "0"), (0.0001, "0"), (3.0, "3"), (7.984, "7.98"), (43.6, "44"), (1234.5, "1,234")],
    )
    def test_number(self, value: float | None, text: str) -> None:
        assert wording.number(value) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(4.61, "4.6 ms"), (99.6, "100 ms"), (271.4, "271 ms"), (1040, "1.0 s"), (14410, "14 s")],
    )
    def test_milliseconds(self, value: float, text: str) -> None:
        assert wording.milliseconds(value) == text

    @pytest.mark.parametrize(
        ("size", "text"), [(512, "512 B"), (51_200, "50 KiB"), (1 << 20, "1 MiB"), (3 << 19, "1.5 MiB")]
    )
    def test_size(self, size: int, text: str) -> None:
        assert wording.size(size) == text

    @pytest.mark.parametrize(
        ("low", "value", "high", "text"),
        [
            (1.31, 1.40, 1.52, "1.40 (1.31 to 1.52)"),
            (1.001, 1.03, 1.06, "1.030 (1.001 to 1.060)"),  # "1.00" would read as no difference
            (1.001, 1.002, 1.004, "1.002 (1.001 to 1.004)"),
        ],
    )
    def test_ratio_can_be_told_from_its_interval_and_from_1(
        self, low: float, value: float, high: float, text: str
    ) -> None:
        assert wording.ratio(Interval(n=8, value=value, low=low, high=high)) == text

    @pytest.mark.parametrize(
        ("share", "text"),
        [
            (None, "–"), (0.0, "0 %"), (0.19, "19 %"), (0.04, "4 %"), (0.063, "6.3 %"), (0.002, "0.2 %"),
            (0.000473, "0.05 %"), (-0.0331, "-3.3 %"), (1.6, "160 %"),
        ],
    )  # fmt: skip
    def test_a_share_that_is_not_nothing_does_not_read_as_nothing(
        self, share: float | None, text: str
    ) -> None:
        assert wording.percent(share) == text

    @pytest.mark.parametrize(
        ("low", "value", "high", "text"),
        [
            (0.18, 0.19, 0.20, "19 % (18 % to 20 %)"),
            (0.0, 0.0, 0.000473, "0 % (at most 0.05 %)"),  # none of 7,797
            (0.0, 0.0, 0.0362, "0 % (at most 3.6 %)"),  # none of 100
            (0.999527, 1.0, 1.0, "100 % (at least 99.95 %)"),
            (0.000006, 0.0002, 0.0011, "0.02 % (0.0006 % to 0.1 %)"),
            (-0.0331, 0.000163, 0.0402, "0 % (-3.3 % to 4.0 %)"),
            (0.0, 0.0, 0.0, "0 % (0 % to 0 %)"),
        ],
    )
    def test_a_share_with_its_interval(self, low: float, value: float, high: float, text: str) -> None:
        assert wording.percent_interval(Interval(n=9, value=value, low=low, high=high)) == text

    def test_a_share_without_an_interval(self) -> None:
        assert wording.percent_interval(Interval(n=1, value=0.25)) == "25 %"
        assert wording.percent_interval(Interval(n=0, value=None)) == "–"

    @pytest.mark.parametrize(
        ("names", "text"),
        [
            (["2 connections"], "2 connections"),
            (["2 connections", "5 connections", "100 connections"], "2, 5 and 100 connections"),
            (["proxy at 20 ms", "direct at 20 ms"], "proxy and direct at 20 ms"),
            (["direct in parts", "direct in one PUT"], "direct in parts and direct in one PUT"),
            (
                ["nginx and new connections", "new connections"],
                "nginx and new connections and new connections",
            ),
            (["no nginx", "nginx"], "no nginx and nginx"),
            (["inline", "queued"], "inline and queued"),
        ],
    )
    def test_what_names_of_arms_share_is_said_once(self, names: list[str], text: str) -> None:
        assert wording.listed_arms(names) == text

    def test_a_wait_has_one_unit(self) -> None:
        assert wording.waited(Interval(n=8, value=1100.0, low=950.0, high=1300.0)) == "1.1 s (0.9 to 1.3)"
        assert wording.waited(Interval(n=8, value=25.0, low=23.0, high=27.0)) == "25.0 ms (23.0 to 27.0)"
        assert wording.waited(Interval(n=0, value=None)) == "–"

    def test_turned_twice_is_the_same(self) -> None:
        found = Interval(n=8, value=0.8, low=0.64, high=1.0)
        assert wording.turned(found) == Interval(n=8, value=1.25, low=1.0, high=1.5625)
        assert wording.turned(wording.turned(found)) == found

    @pytest.mark.parametrize(
        ("given", "unit", "text"),
        [
            ([{}], "upload", "an upload costs; uploads per second"),
            ([{"download": "proxied"}], "download", "a download costs; downloads per second"),
            ([{}, {"download": "proxied"}], "file", "a file costs; files per second"),
            ([{}, {"files": 5}], "file", "a file costs; files per second"),
            ([{"download": "batch", "files": 5}], "file", "a file costs; files per second"),
        ],
    )
    def test_what_a_rate_is_of(self, given: list[dict[str, object]], unit: str, text: str) -> None:
        arms = [arm(f"arm-{at}", **one) for at, one in enumerate(given)]
        assert wording.unit_of([*arms, arm(NOBODY)]) == unit
        assert wording.in_units("an upload costs; uploads per second", unit) == text

    def test_lists(self) -> None:
        assert [wording.listed(list(one)) for one in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
