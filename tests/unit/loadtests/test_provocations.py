"""Alerts provoked: what is declared, how rules are shortened, and what a verdict asks for."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from rich.console import Console

from loadtests.harness.alerting.provocations import (
    FILE,
    Provocation,
    ProvocationsError,
    check,
    load_provocations,
    load_rules,
)
from loadtests.harness.alerting.provoke import PROVOCATIONS
from loadtests.harness.commands.alerts import RULES, Verdict, distance, show

pytestmark = pytest.mark.unit
SCRAPE_S = 5.0
UNPROVOKED = {"SweepOverdue"}  # due after ten minutes without a sweep; promtool shows that it fires


def changed(tmp_path: Path, **profile: Any) -> Path:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    content["profiles"]["smoke"] |= profile
    path = tmp_path / "provocations.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_smoke_provokes_three_and_full_provokes_every_rule_as_it_is() -> None:
    rules = load_rules(RULES / "alerts.yml", 1)
    assert len(load_provocations("smoke").provoked) == 3
    full = load_provocations("full")
    assert set(full.provoked) == set(rules.for_s) - UNPROVOKED
    assert full.divide_for_by == 1
    for name in ("smoke", "ci", "full"):
        check(load_provocations(name), rules)


def test_every_provocation_can_be_done_and_is_used() -> None:
    assert set(PROVOCATIONS) == set(get_args(Provocation))
    assert set(load_provocations("full").provoked.values()) == set(PROVOCATIONS)


def test_only_the_waiting_is_shortened() -> None:
    whole, shortened = (load_rules(RULES / "alerts.yml", by) for by in (1, 60))
    assert shortened.for_s == {name: value / 60 for name, value in whole.for_s.items()}
    first, second = (yaml.safe_load(one.text)["groups"] for one in (whole, shortened))
    for before, after in zip(first, second, strict=True):
        for rule, short in zip(before["rules"], after["rules"], strict=True):
            assert {**rule, "for": ""} == {**short, "for": ""}
    assert whole.for_s["RequestsRejected"] == 300


def test_every_problem_is_named(tmp_path: Path) -> None:
    path = changed(tmp_path, provoked={"ProcessGone": "nonsense"}, divide_for_by=0, surprise=1)
    with pytest.raises(ProvocationsError) as caught:
        load_provocations("smoke", path)
    assert all(word in str(caught.value) for word in ("ProcessGone", "divide_for_by", "surprise"))
    with pytest.raises(ProvocationsError, match="has smoke, ci, full"):
        load_provocations("nightly")
    unknown = load_provocations("smoke", changed(tmp_path, provoked={"NoSuchAlert": "process-paused"}))
    with pytest.raises(ProvocationsError, match="no rule NoSuchAlert"):
        check(unknown, load_rules(RULES / "alerts.yml", 1))


def verdict(**more: Any) -> Verdict:
    good: dict[str, Any] = {"for_s": 5.0, "seen_s": 10.0, "fired_s": 24.9, "cleared_s": 60.0}
    return Verdict("RequestsRejected", "refused-logins", **(good | more))


def test_every_rule_but_the_missing_process_has_a_threshold() -> None:
    rules = load_rules(RULES / "alerts.yml", 1)
    found = {name: rules.threshold(name) for name in rules.for_s}
    assert found["CpuCritical"] == ("instance:process_cpu_seconds:rate1m", 0.9)
    assert found["MemoryWarning"] == ("instance:process_resident_memory_bytes:now", 400e6)
    assert [name for name, threshold in found.items() if threshold is None] == ["ProcessGone"]


@pytest.mark.parametrize(
    ("highest", "words"),
    [(0.79, "0.79 was reached, it is due above 0.8; the provocation is too weak"),
     (0.85, "0.85 was reached, it is due above 0.8"), (None, "has no value")],
)  # fmt: skip
def test_a_silent_alert_says_how_near_it_came(highest: float | None, words: str) -> None:
    said = distance(verdict(fired_s=None, highest=highest, limit=0.8))
    assert words in said
    assert ("too weak" in said) == (highest == 0.79)


@pytest.mark.parametrize(
    ("more", "word"),
    [({}, "holds"), ({"cleared_s": None}, "fails"),
     ({"fired_s": None, "highest": 0.85, "limit": 0.8}, "fails"),
     ({"fired_s": None, "seen_s": None, "highest": 0.79, "limit": 0.8}, "not provoked")],
)  # fmt: skip
def test_a_condition_that_never_came_true_is_no_fault_of_the_rule(more: dict[str, Any], word: str) -> None:
    console = Console(file=StringIO(), width=120)
    show([verdict(**more)], SCRAPE_S, console)
    assert isinstance(console.file, StringIO)
    assert word in console.file.getvalue()


def test_a_verdict_asks_for_silence_time_and_an_end() -> None:
    assert verdict().holds(SCRAPE_S)
    bad: list[dict[str, Any]] = [
        {"silent_in_control": False},
        {"silent_before": False},
        {"fired_s": 25.1},
        {"fired_s": None, "seen_s": None},
        {"cleared_s": None},
    ]
    assert not any(verdict(**one).holds(SCRAPE_S) for one in bad)
