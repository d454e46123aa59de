"""The labs: each has one command that exists and is short, and figures of a record or none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import answers, learn
from docs.learn import BEGIN, END, LABS, Lab
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.plan.planning import estimate, make_plan
from loadtests.harness.question import load_question
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.result import Result
from loadtests.harness.wording import MISSING
from loadtests.harness.words import ASK, as_typed, read_question
from tests.docs.markdown import links
from tests.unit.compose.words import takers
from tests.unit.loadtests import fabricate

pytestmark = pytest.mark.docs

STEPS = ["Predict", "Run", "See", "Change", "Explain", "On record"]
STRATEGIES = load_strategies()
MEASURED = re.compile(r"\d[\d.,]*\s*(?:%|ms|s|MB|[KMG]iB|times|cores|uploads|files|clients)(?!\w)")
PAGES = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.page)


def text_of(lab: Lab) -> str:
    return (learn.FOLDER / lab.page).read_text(encoding="utf-8")


def section(lab: Lab, step: str) -> str:
    return text_of(lab).partition(f"\n## {step}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def planned(command: str) -> Plan:
    """The plan of a line; refused where a word is none of its target's, or has no meaning there."""
    make, target, *typed = command.split()
    assert (make, target) == ("make", "ask")
    words = dict(word.split("=", 1) for word in typed)
    assert [name for name in words if target not in takers()[name]] == []
    asked = load_question(words["Q"])
    texts = as_typed(asked.arms)
    read = read_question(words, ASK, STRATEGIES, texts, texts=asked.arms, load=asked.load)
    return make_plan("run", asked, read, STRATEGIES)


def test_the_pages_say_what_is_on_record() -> None:
    stale = [path.name for path, text in learn.pages().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python -m docs.learn"


def test_the_index_names_every_lab_and_there_is_no_other() -> None:
    pages = {path.name for path in learn.FOLDER.glob("*.md")} - {"README.md"}
    assert {lab.page for lab in LABS} == pages == pages & set(links(learn.FOLDER / "README.md"))


@PAGES
class TestLab:
    def test_it_has_every_step_and_a_place_to_write(self, lab: Lab) -> None:
        assert re.findall(r"^## (.*)$", text_of(lab), re.MULTILINE) == STEPS
        assert "| ____ | ____ |" in section(lab, "Predict")

    def test_it_has_one_command_of_five_minutes_at_most(self, lab: Lab) -> None:
        assert commands(section(lab, "Run")) == [lab.command]
        assert estimate(planned(lab.command)).most_seconds <= 300

    def test_it_changes_one_word(self, lab: Lab) -> None:
        (changed,) = commands(section(lab, "Change"))
        before, after = lab.command.split(), changed.split()
        assert (after[:-1], len(after)) == (before, len(before) + 1)
        assert planned(changed).words.keys() == {after[-1].partition("=")[0]}

    def test_nobody_typed_a_number(self, lab: Lab) -> None:
        before, rest = text_of(lab).split(BEGIN)
        typed = re.sub(
            r"^```.*?^```|`[^`]*`", "", before + rest.split(END)[1], flags=re.MULTILINE | re.DOTALL
        )
        assert MEASURED.findall(typed) == []

    def test_a_formula_has_its_source(self, lab: Lab) -> None:
        explained = section(lab, "Explain")
        assert "```text" in explained
        assert re.search(r"\*[^*]+\*,\s(?:volume 1,\s)?(?:19|20)\d\d", explained)

    def test_without_a_run_it_says_so(self, lab: Lab, tmp_path: Path) -> None:
        part = learn.pages(tmp_path)[learn.FOLDER / lab.page].split(BEGIN)[1].split(END)[0]
        assert part.startswith(f"\nNot run yet: no run of `{lab.command}` is on record.")
        assert not re.search(r"\d", part)


def filled(lab: Lab, result: Result, folder: Path) -> str:
    """The lab's figures with this run on record."""
    run = fabricate.bundle(folder / "results", result.model_copy(update={"question": lab.question}))
    answers.take(run, folder)
    return learn.pages(folder)[learn.FOLDER / lab.page].split(BEGIN)[1].split(END)[0]


def row(text: str, *begins: str) -> list[str]:
    """Cells of the only row that begins with these."""
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {' | '.join(begins)} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


class TestFigures:
    """Of fabricated runs: what stands there is what the record says, and what a law makes of it."""

    def test_waits_stand_beside_what_one_queue_would_do(self, tmp_path: Path) -> None:
        arms = (fabricate.arm("a"), fabricate.arm("b"))  # each does 80 in a second
        cells = [("a", 0.4, 40.0), ("a", 0.6, 100.0), ("a", 1.0, 900.0), ("b", 0.4, 50.0)]
        offers = fabricate.offers(arms).model_copy(
            update={"cells": tuple(fabricate.offered(*cell, dropped=0.25) for cell in cells)}
        )
        text = filled(LABS[0], fabricate.result(arms, offers=offers), tmp_path)
        # 40 and 60 offered of 80: utilisation a half and three quarters, so twice as long.
        assert row(text, "a", "50 %")[3:] == ["1.00 times", "1.00 times", "25 %"]
        assert row(text, "a", "75 %")[3:] == ["2.50 times", "2.00 times", "25 %"]
        assert row(text, "a", "125 %")[3:5] == ["22.5 times", "no end"]
        assert row(text, "b", "50 %")[2] == "50.0 ms (46.0 to 54.0)"

    def test_little_s_law_stands_beside_the_wait(self, tmp_path: Path) -> None:
        arms = (fabricate.arm("few", vus=4), fabricate.arm("many", vus=32))
        result = fabricate.result(arms, offers=fabricate.offers(arms))
        text = filled(LABS[1], result, tmp_path)
        assert row(text, "few", "4")[3] == "50.0 ms"
        assert row(text, "many", "32")[3] == "400 ms"
        assert row(text, "few", "80 % of what fits")[4] == "0 %"

    def test_the_generator_s_cores_follow_from_rate_and_price(self, tmp_path: Path) -> None:
        text = filled(LABS[2], fabricate.result(), tmp_path)
        # 97 uploads per second at 4.2 ms, of two cores.
        found = row(text, "direct in one PUT", "97.0 (94.1 to 99.9)")
        assert found[2:] == ["9.50 ms", "4.20 ms", "0.41", "20 %"]
        assert "| direct in one PUT over direct in parts | without k6's part | 1.31 (" in text
        assert row(text, "direct in parts", "all processors")[2] == "1.9 of 2 cores were busy"

    def test_what_kills_took_stands_beside_what_was_at_risk(self, tmp_path: Path) -> None:
        arms = (fabricate.arm("inline"), fabricate.arm("detached"))
        kills = fabricate.kills(inline=(0, 0), detached=(9, 13))
        compared = fabricate.comparison(arms, early=("detached",))
        text = filled(LABS[3], fabricate.result(arms, compare=compared, kills=kills), tmp_path)
        # 16 clients, 80 uploads per second: 200 ms, of which the answer takes three tenths.
        assert row(text, "detached", "60.0 ms (55.2 to 64.8)")[3] == "140 ms"
        assert row(text, "detached", "2", "1,200") == ["detached", "2", "1,200", "22", "11.0", "11.2"]
        assert row(text, "inline", "2", "1,200") == ["inline", "2", "1,200", "0", "0", "0"]

    def test_a_hop_s_price_is_told_by_process(self, tmp_path: Path) -> None:
        arms = (fabricate.arm("nginx"), fabricate.arm("no nginx"))
        compared = fabricate.comparison(arms)
        through = compared.arms[0].model_copy(
            update={
                "cpu_s_by_process": {**compared.arms[0].cpu_s_by_process, "nginx": fabricate.around(0.0015)}
            }
        )
        compared = compared.model_copy(update={"arms": (through, compared.arms[1])})
        text = filled(LABS[4], fabricate.result(arms, compare=compared), tmp_path)
        assert row(text, "nginx", "80.0 (77.6 to 82.4)")[3:] == ["1.50 ms", "4.20 ms", "4.00 ms", "12.0 ms"]
        assert row(text, "no nginx", "80.0 (77.6 to 82.4)")[3] == MISSING
        assert "| no nginx over nginx | uploads/s | 1.00 (" in text

    def test_where_it_was_measured_stands_before_the_figures(self, tmp_path: Path) -> None:
        text = filled(LABS[4], fabricate.result(), tmp_path)
        assert text.startswith("\n`make stress` on Fabricated CPU")
        assert "([all that it found](../answers.md#hops))" in text
        assert "Not run yet" not in text
