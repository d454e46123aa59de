"""What docs/statistics.md says of whole runs is counted from the runs on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import series
from loadtests.harness.records.bundle import BundleError
from tests.unit.loadtests import fabricate as make

pytestmark = pytest.mark.docs


def run(folder: Path, ratio: float, took_s: float, started_at: float = make.STARTED_AT) -> Path:
    arms = (make.arm("A"), make.arm("B"))
    compared = make.comparison(arms, rates=[make.ratio("A", "B", ratio, half=0.04)])
    asked = make.conditions(command="make ab", started_at=started_at, ended_at=started_at + took_s)
    found = make.result(arms, compare=compared, conditions=asked, warnings=(make.warn(),))
    return make.bundle(folder, found)


def test_intervals_that_hold_1_and_winners_are_counted(tmp_path: Path) -> None:
    records = tmp_path / "series.json"
    later = run(tmp_path / "a", 1.02, 100, make.STARTED_AT + 500)
    series.take("equal", [later, run(tmp_path / "b", 1.2, 150)], records)
    text = series.section(series.on_record(records))
    assert "| A against A on one stack | 2 | 1 min 40 s to 2 min 30 s | 1 of 2 | 2 of 2 | 1 of 2 |" in text
    assert text.count("| noisy-host |") == 2  # what a run says against itself stands beside it
    assert text.index("1.20 (1.15 to 1.25)") < text.index("1.02 (0.98 to 1.06)")  # in the order run


def test_runs_are_added_to_their_series_and_stand_there_once(tmp_path: Path) -> None:
    records = tmp_path / "series.json"
    one = run(tmp_path / "a", 1.02, 100)
    for name in ("equal", "no-op", "equal"):
        series.take(name, [one], records)
    series.take("equal", [run(tmp_path / "b", 1.02, 100, make.STARTED_AT + 500)], records)
    kept = series.on_record(records).series
    assert {name: len(runs) for name, runs in kept.items()} == {"equal": 2, "no-op": 1}


def test_what_cannot_be_put_on_record_changes_nothing(tmp_path: Path) -> None:
    records = tmp_path / "series.json"
    empty = make.bundle(tmp_path, make.result(compare=None))
    with pytest.raises(BundleError, match="nothing was compared"):
        series.take("equal", [empty], records)
    assert not records.exists()


def test_nothing_on_record_is_nothing_said(tmp_path: Path) -> None:
    assert series.section(series.on_record(tmp_path / "series.json")) == ""
