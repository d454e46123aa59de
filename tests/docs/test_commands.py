"""Commands that write docs answer like commands: help with an example, and one sentence for what is wrong."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from docs import answers, writing
from loadtests.harness.running.session import results_folder
from tests.docs.markdown import ROOT
from tests.unit.loadtests import fabricate

pytestmark = pytest.mark.docs
PROGRAMS = [
    *(
        f"docs.{path.stem}"
        for path in sorted((ROOT / "docs").glob("*.py"))
        if "__main__" in path.read_text(encoding="utf-8")
    ),
    "grafana",
]
TAKE_RUNS = {"docs.answers": [], "docs.sample_run": [], "docs.series": ["equal"]}


def typed(program: str, *words: str) -> Result:
    """The command as ``python -m`` finds it."""
    name = "grafana.__main__" if program == "grafana" else program
    command: click.Command = importlib.import_module(name).main
    return CliRunner().invoke(command, words, prog_name=f"python -m {program}")


def sentence(done: Result) -> str:
    """The only one on standard error, below the usage if that is shown; nothing is on standard output."""
    assert (done.exit_code, done.stdout) == (2, "")
    (said,) = re.findall(r"^Error: (.+)$", done.stderr, re.MULTILINE)
    return str(said)


def test_none_is_missing() -> None:
    names = ("answers", "generate", "learn", "sample_run", "series", "statistics")
    assert {f"docs.{name}" for name in names} < set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
class TestEveryCommand:
    def test_helps_with_an_example(self, program: str) -> None:
        for word in ("-h", "--help"):
            done = typed(program, word)
            assert (done.exit_code, done.stderr) == (0, "")
            assert done.stdout.startswith(f"Usage: python -m {program} ")
            assert f"Example: python -m {program}" in done.stdout

    def test_refuses_what_it_does_not_know(self, program: str) -> None:
        assert sentence(typed(program, "--wrong")) == "No such option '--wrong'."


@pytest.mark.parametrize(("program", "before"), TAKE_RUNS.items())
class TestARunThatCannotBeTaken:
    def test_there_is_none(self, program: str, before: list[str]) -> None:
        said = sentence(typed(program, *before, "nosuch"))
        assert said.endswith(f": there is no run nosuch in {results_folder({})}")

    def test_it_is_no_run(self, program: str, before: list[str], tmp_path: Path) -> None:
        assert str(tmp_path) in sentence(typed(program, *before, str(tmp_path)))


def test_a_series_is_one_of_those_there_are() -> None:
    said = sentence(typed("docs.series", "nosuch", str(ROOT)))
    assert "'nosuch' is not one of 'equal', 'no-op', 'planted', 'stress'" in said
    assert "Missing argument" in sentence(typed("docs.series", "equal"))


def test_what_decides_nothing_is_refused_in_one_sentence(tmp_path: Path) -> None:
    run = fabricate.bundle(tmp_path, fabricate.result(profile="smoke"))
    said = sentence(typed("docs.answers", str(run)))
    assert said == f"{run}: a smoke run, or one that was interrupted, decides nothing"


def test_too_large_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_BYTES", 1)
    monkeypatch.setattr(answers, "pages", lambda found: {})
    monkeypatch.setattr(answers, "pictures", lambda found: {})
    done = typed("docs.answers")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: docs/answers has ")
