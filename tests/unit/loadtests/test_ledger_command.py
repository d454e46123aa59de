"""`make ledger`: one line for each audit, and equal findings told once with a few examples."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from loadtests.harness.commands.ledger import EXAMPLES, grouped, overview, show_kind
from loadtests.harness.records.samples import LedgerTable
from tests.unit.loadtests import ledger_world as world
from tests.unit.loadtests.ledger_world import World

pytestmark = pytest.mark.unit


def lost(number: int) -> LedgerTable:
    """An audit in which so many acknowledged uploads have no file."""
    refs = [f"r{at}" for at in range(number)]
    some = World().verified(*refs)
    some.files.clear()
    return some.table()


def text(*shown: object, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width).print(*shown)
    return out.getvalue()


def test_an_overview_fits_eighty_columns_and_says_only_what_there_is() -> None:
    several = World().verified("a").table().model_copy(update={"stretches": ("s001", "s002", "s003")})
    shown = text(overview([several]))
    assert "s001-s003" in shown and "passed" in shown
    assert "flags" not in shown and "…" not in shown
    assert "G-02" in text(overview([several, lost(1)]), width=120)


def test_equal_findings_are_one_group_whatever_their_ids() -> None:
    found = grouped([lost(12), lost(3)])
    counts = {kind: len(findings) for kind, findings in found.items()}
    assert counts["G-02", "the session says completed, but there is no file row"] == 15
    assert counts["G-04", "object … without file row"] == 15
    assert [name for name, _ in counts][-1] == "user"


def test_a_group_shows_ten_examples_and_how_many_more() -> None:
    (kind, findings), *_ = grouped([lost(EXAMPLES + 2)]).items()
    out = StringIO()
    show_kind(kind, findings, Console(file=out, width=80))
    lines = out.getvalue().strip().splitlines()
    assert lines[0].startswith(f"{EXAMPLES + 2} × G-02")
    assert len([line for line in lines if line.startswith("  audit 0: ")]) == EXAMPLES
    assert lines[-1].strip().startswith("and 2 more")
    assert str(world.USER) in lines[1]
