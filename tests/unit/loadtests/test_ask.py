"""The list of prepared questions: what each takes, and whether this machine can."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.harness import question
from loadtests.harness.commands import ask as command
from loadtests.harness.commands.ask import entry
from loadtests.harness.commands.asking import Asking
from loadtests.harness.question import questions
from loadtests.harness.words import WordsError

pytestmark = pytest.mark.unit


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """No testbed runs here."""
    return {"VAULTBENCH_RUN_DIR": str(tmp_path)}


def listed(environ: Mapping[str, str]) -> str:
    out = StringIO()
    asking = Asking(environ, "make ask", Console(file=out, width=80), lambda *_: 1, lambda *_: None)
    assert command.ask(asking) == 0
    return out.getvalue()


def test_every_question_is_listed_with_minutes_and_whether_it_can_be_asked(nowhere: dict[str, str]) -> None:
    said = listed(nowhere)
    for name in questions():
        assert f"\n{name} " in f"\n{said}"
    assert "no:" not in said
    assert "after make up" in said
    assert max(map(len, said.splitlines())) <= 80


def test_stacks_are_not_started_beside_containers(nowhere: dict[str, str]) -> None:
    assert "processes of their own" in entry("hash", "ci", nowhere | {"BENCH_PROJECT": "vb"}).here
    assert entry("hash", "ci", nowhere).here == "yes"


def test_too_little_memory_too_few_cores_and_a_wrong_file_are_said(
    nowhere: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ab.yaml").write_bytes((question.QUESTIONS_FOLDER / "ab.yaml").read_bytes())
    (tmp_path / "wrong.yaml").write_text("question: why")
    (tmp_path / "big.yaml").write_text(
        "question: why\ncores: 4000\narms: {a: DB_POOL_MAX=2, b: DB_POOL_MAX=3}"
    )
    monkeypatch.setattr(question, "QUESTIONS_FOLDER", tmp_path)
    monkeypatch.setattr(command, "available_bytes", lambda: 100_000)
    assert entry("wrong", "ci", nowhere).here == "no: wrong.yaml: arms: missing"
    said = entry("big", "ci", nowhere).here
    assert said.startswith("no: big needs 4000 cores, here are ")
    assert "GiB of memory for the load and the arms' processes" in said


def test_the_list_takes_no_words_of_a_run(nowhere: dict[str, str]) -> None:
    with pytest.raises(WordsError, match="VUS: of which question"):
        listed(nowhere | {"VUS": "3"})
    assert listed(nowhere | {"PROFILE": "full"}) != listed(nowhere)
