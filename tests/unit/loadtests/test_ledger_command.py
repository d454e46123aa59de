"""`make ledger`: one line for each audit, and equal findings told once with a few examples."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.harness.commands.ledger import EXAMPLES, grouped, overview, show_kind, show_ledger
from loadtests.harness.records.bundle import BundleError, BundleWriter
from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import LedgerTable
from tests.unit.loadtests import ledger_world as world
from tests.unit.loadtests.ledger_world import World
from tests.unit.loadtests.switchback import manifest

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


def written(folder: Path, *, ended: bool) -> Path:
    """Two stretches that were played, of which the first was audited."""
    writer = BundleWriter(folder)
    writer.write_manifest(manifest(ended_at=2000.0 if ended else None))
    for name in ("s001", "s002"):
        writer.append_stretch(
            Stretch(stretch=name, part="p", t0=1.0, period_s=3.0, washout_s=0.7, order=("a",), blocks=(0,))
        )
    writer.append_ledger(World().verified("a").table().model_copy(update={"stretches": ("s001",)}))
    return folder


def test_what_nobody_audited_is_named_and_no_success(tmp_path: Path) -> None:
    out = StringIO()
    assert show_ledger(written(tmp_path, ended=False), Console(file=out, width=160)) == 2
    assert "Nobody audited s002" in out.getvalue() and "passed" in out.getvalue()


@pytest.mark.parametrize("ended", [True, False])
def test_a_torn_ledger_is_damaged_where_the_run_came_to_its_end(tmp_path: Path, ended: bool) -> None:
    path = written(tmp_path, ended=ended) / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"audit":1')
    console = Console(file=StringIO(), width=160)
    if ended:
        with pytest.raises(BundleError, match=r"ledger\.jsonl is damaged: it stops in the middle"):
            show_ledger(tmp_path, console)
    else:
        assert show_ledger(tmp_path, console) == 2
