"""Words of the report: terms that are explained, numbers that keep their unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.harness.analysis import words
from loadtests.harness.analysis.model import Ratio
from loadtests.harness.reporting import glossary
from loadtests.harness.reporting.report import linked

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]


class TestTerms:
    def test_first_use_links_and_the_text_is_escaped(self) -> None:
        shown = linked("VU < goodput, goodput")
        assert shown.count('href="#term-goodput"') == 1
        assert shown.count('href="#term-vu"') == 1
        assert "&lt;" in shown

    def test_a_setting_is_no_term(self) -> None:
        assert "term-vu" not in linked("make stress VUS=8")

    def test_a_number_keeps_its_unit(self) -> None:
        assert "12\u00a0ms" in linked("12 ms")

    def test_glossary_page_is_the_glossary(self) -> None:
        page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
        assert page == glossary.markdown()

    def test_words_a_newcomer_asks_for(self) -> None:
        asked = {
            "VU",
            "real users",
            "RPS",
            "goodput",
            "percentiles",
            "iteration",
            "knee",
            "pool wait",
            "ports",
        }
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
        assert words.number(value) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(4.61, "4.6 ms"), (9.98, "10 ms"), (271.4, "271 ms"), (1040, "1.0 s"), (14410, "14 s")],
    )
    def test_milliseconds(self, value: float, text: str) -> None:
        assert words.milliseconds(value) == text

    @pytest.mark.parametrize(
        ("size", "text"), [(512, "512 B"), (51_200, "50 KiB"), (1 << 20, "1 MiB"), (3 << 19, "1.5 MiB")]
    )
    def test_size(self, size: int, text: str) -> None:
        assert words.size(size) == text

    @pytest.mark.parametrize(
        ("low", "value", "high", "text"),
        [
            (1.31, 1.40, 1.52, "1.4 times (1.3 to 1.5)"),
            (1.29, 1.32, 1.34, "1.32 times (1.29 to 1.34)"),
            (1.02, 1.14, 1.27, "1.14 times (1.02 to 1.27)"),  # "1.0" would read as no difference
            (1.001, 1.002, 1.004, "1.002 times (1.001 to 1.004)"),
        ],
    )
    def test_ratio_can_be_told_from_its_interval(
        self, low: float, value: float, high: float, text: str
    ) -> None:
        found = Ratio(
            id="x", metric="goodput", base="a", arm="b", n=6, value=value, low=low, high=high, p_t=None,
            p_holm=None, margin=0.1, verdict="faster",
        )  # fmt: skip
        assert words.ratio(found) == text
