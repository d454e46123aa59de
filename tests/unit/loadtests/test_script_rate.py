"""A script that sleeps: it set the rate, so no winner is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.harness.analysis.analyse import analyse
from loadtests.harness.analysis.model import Analysis
from loadtests.harness.records.model import Question, Trial
from tests.unit.loadtests.fabricate import SHORT, facts_of

pytestmark = pytest.mark.unit


class TestScriptSetThisNumber:
    """A script that sleeps gets no verdict, wherever it sleeps."""

    def test_declared_think_time(self, tmp_path: Path) -> None:
        found = analyse(facts_of(tmp_path, replace(SHORT, think_s=2.0)))
        self.check(found, exit_code=3)
        assert "16 clients that pause 2 s" in found.sentences[0].text

    def test_sleep_between_the_requests_of_an_upload(self, tmp_path: Path) -> None:
        found = analyse(facts_of(tmp_path, replace(SHORT, hidden_sleep_s=1.0, sleep_inside=True)))
        self.check(found, exit_code=3)
        assert found.next_command == "make stress VUS=32"

    def test_sleep_outside_the_upload(self, tmp_path: Path) -> None:
        found = analyse(facts_of(tmp_path, replace(SHORT, hidden_sleep_s=1.0)))
        self.check(found, exit_code=2)
        assert "client-work" in {warn.code for warn in found.warnings}

    @staticmethod
    def check(found: Analysis, *, exit_code: int) -> None:
        assert found.capacity is not None
        assert found.capacity.ratios[0].verdict is None
        assert any("The script set this number" in sentence.text for sentence in found.sentences)
        assert not any("as fast as" in sentence.text for sentence in found.sentences)
        assert found.exit_code == exit_code
        proof = found.capacity.saturation[0]
        assert proof.predicted_per_s == pytest.approx(proof.goodput_per_s, rel=0.1)


def test_a_journey_with_pauses_names_no_winner(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, SHORT)

    def change(trial: Trial) -> Trial:
        return trial.model_copy(update={"plan": trial.plan.model_copy(update={"question": Question.JOURNEY})})

    played = [trial for trial in facts.trials if trial.plan.question is Question.SATURATION]
    found = analyse(replace(facts, trials=tuple(map(change, played))))
    assert "no winner is named" in found.sentences[0].text
    assert found.capacity is None
