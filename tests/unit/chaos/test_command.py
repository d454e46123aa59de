"""`make chaos` as a command: what it says, and how it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tests.chaos import __main__ as chaos
from tests.chaos.attack import Result
from tests.chaos.plan import draw

pytestmark = pytest.mark.unit


def started(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int], *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(chaos, "run", run)
    for name in ("SEED", "CASES", "LIMIT_S", "KEEP_GOING"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(chaos.main, list(arguments))
    return done.exit_code, done.output


def interrupted(*_: object, **__: object) -> int:
    raise KeyboardInterrupt


def test_how_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, lambda *_, **__: 0)[0] == 0
    assert started(monkeypatch, lambda *_, **__: 2)[0] == 1
    code, text = started(monkeypatch, interrupted, "--seed", "7", "--cases", "3")
    assert code == 130
    assert "again: make chaos CASES=3 SEED=7" in text


def test_a_seed_is_drawn_and_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def run(first: int, *_: object, **__: object) -> int:
        seen.append(first)
        return 0

    said = [started(monkeypatch, run)[1] for _ in range(2)]
    assert seen[0] != seen[1]
    assert all(f"seed {seed}" in text for seed, text in zip(seen, said, strict=True))


def test_words_that_are_wrong_are_told_at_once_and_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "run", None)
    words = {"CASES": "abc", "SEED": "1e3", "LIMIT_S": "nan", "KEEP_GOING": "ja"}
    done = CliRunner().invoke(chaos.main, [], env=words)
    assert done.exit_code == 2
    assert done.output.split("\n")[1:-1] == [
        "CASES=abc: expected a whole number from 1 to 1000000",
        "SEED=1e3: expected a whole number from 0 to 2147483647",
        "LIMIT_S=nan: expected seconds, 0 to 604800",
        "KEEP_GOING=ja: expected one of 0, 1",
    ]


def test_words_count() -> None:
    said = {"CASES": "2", "SEED": "0", "LIMIT_S": "1.5", "KEEP_GOING": "1"}
    assert chaos.read_words(said) == (2, 0, 1.5, True)
    assert chaos.read_words({"CASES": "", "KEEP_GOING": "0"}) == (50, None, None, False)


def test_help_has_an_example() -> None:
    text = CliRunner().invoke(chaos.main, ["--help"]).output
    assert "Example: make chaos CASES=200 SEED=" in text
    assert {"CASES", "--limit-s", "--keep-going"} <= set(text.replace(",", " ").split()) | {"CASES"}


def test_a_failure_tells_plan_reason_and_command() -> None:
    case = draw(11)
    text = chaos.told(Result(case, wrong=["11.0: other bytes come back"]))
    assert "make chaos CASES=1 SEED=11" in text
    assert f'"seed": {case.uploads[0].seed}' in text
    assert "other bytes come back" in text


def test_how_long_a_part_was_missed_is_a_table() -> None:
    case = draw(11)
    results = [
        Result(case, unserved_s={"kill upload": 0.25}, away_s={"upload": 1.0}),
        Result(case, unserved_s={"kill upload": 1.5}, away_s={"upload": 2.0}),
        Result(case, unserved_s={"pause store": 3.0}),
    ]
    rows = [line.split() for line in chaos.absences(results).splitlines()]
    assert ["kill", "upload", "2", "1.50", "s"] in rows
    assert ["pause", "store", "1", "3.00", "s"] in rows
    assert ["upload", "2", "2.00", "s"] in rows


def test_cases_of_one_kind_stand_together_within_a_block() -> None:
    drawn = [draw(seed) for seed in range(50)]
    ordered = chaos.in_blocks(drawn, 25)
    assert sorted(case.seed for case in ordered) == list(range(50))
    assert {case.seed for case in ordered[:25]} == set(range(25))
    kinds = [(case.chunk_store, case.clock_ahead) for case in ordered[:25]]
    assert kinds == sorted(kinds)
