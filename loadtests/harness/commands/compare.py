"""``make compare``: two runs side by side, with everything they differ in, and never a winner.

Between two runs the machine has changed, by 13 % within minutes where this was looked at. Only arms that take
turns are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtests.harness.commands.runs import Run, read_run
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.result import ArmResult, Ratio
from loadtests.harness.report.conditions import moment
from loadtests.harness.report.page import flat
from loadtests.harness.report.tables_compare import METRICS
from loadtests.harness.running.session import find_bundle
from loadtests.harness.wording import MISSING, cpu_ms, milliseconds, ratio, with_interval

NO_WINNER = (
    "Two runs at two times: the machine changed between them, so no winner is named. To compare two "
    "things, let them take turns: make ab"
)
# Of the manifest: what differs between any two runs.
_ALWAYS_DIFFERENT = frozenset({"run", "started_at", "ended_at"})
_OF_THE_PLAN = ("rtt_ms", "bandwidth_mbit", "margin", "precision", "budget_s", "login_each", "replicated")
Row = tuple[str, str, str]


def two_runs(text: str | None, environ: Mapping[str, str]) -> tuple[Path, Path]:
    """The bundles of ``RUNS=x,y``. Raises ``BundleError``."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if len(names) != 2:
        raise BundleError(
            "RUNS= takes two runs, as in: make compare RUNS=x,y. Which there are says: make runs"
        )
    first, second = (find_bundle(name, environ) for name in names)
    return first, second


def compare(paths: tuple[Path, Path], console: Console) -> int:
    """Print both runs; 0 always. Raises ``BundleError``."""
    first, second = (read_run(path) for path in paths)
    columns = (first.manifest.run, second.manifest.run)
    _print("What was measured", columns, list(measured(first, second)), console)
    different = list(differences(first, second))
    if different:
        _print("What they differ in", columns, different, console)
    else:
        console.print("They differ in nothing that was recorded, but in time.\n")
    console.print(Text(NO_WINNER, style="yellow"))
    return 0


def measured(first: Run, second: Run) -> Iterator[Row]:
    """Times, validity, and every arm and ratio that either has; the same names stand side by side."""
    yield "started", moment(first.manifest.started_at), moment(second.manifest.started_at)
    yield "validity", first.result.validity.value, second.result.validity.value
    arms = [{one.arm.name: one for one in _arms(run)} for run in (first, second)]
    for name in dict.fromkeys([*arms[0], *arms[1]]):
        cells = [_cells(own.get(name)) for own in arms]
        yield from ((f"{name}: {what}", cells[0][what], cells[1][what]) for what in cells[0])
    ratios = [{(one.metric, one.arm, one.base): one for one in _ratios(run)} for run in (first, second)]
    for key in dict.fromkeys([*ratios[0], *ratios[1]]):
        metric, arm, base = key
        over = [ratio(own[key].ratio) if key in own else MISSING for own in ratios]
        yield f"{arm} over {base}: {METRICS[metric]}", over[0], over[1]


def _arms(run: Run) -> tuple[ArmResult, ...]:
    return run.result.compare.arms if run.result.compare else ()


def _ratios(run: Run) -> tuple[Ratio, ...]:
    return run.result.compare.ratios if run.result.compare else ()


def _cells(one: ArmResult | None) -> dict[str, str]:
    return {
        "uploads/s": with_interval(one.uploads_per_s) if one else MISSING,
        "CPU ms per upload": with_interval(one.cpu_s_per_upload, cpu_ms) if one else MISSING,
        "p95 to durable": with_interval(one.durable_p95.ms, milliseconds) if one else MISSING,
    }


def differences(first: Run, second: Run) -> Iterator[Row]:
    """Everything recorded of machine, tools, settings, revision, words, network and arms that differs."""
    known = [dict(flat(_recorded(run))) for run in (first, second)]
    for name in sorted({*known[0], *known[1]}):
        one, other = (own.get(name, MISSING) for own in known)
        if one != other:
            yield name, one, other


def _recorded(run: Run) -> dict[str, Any]:
    manifest = run.manifest.model_dump(mode="json", exclude=set(_ALWAYS_DIFFERENT))
    return manifest | {
        "plan": {name: getattr(run.plan, name) for name in _OF_THE_PLAN} | {"arms": _plain(run.plan)}
    }


def _plain(plan: Plan) -> dict[str, Any]:
    return {
        arm.name: arm.model_dump(mode="json", exclude={"name", "of", "colour", "stack"}) for arm in plan.arms
    }


def _print(title: str, runs: tuple[str, str], rows: list[Row], console: Console) -> None:
    table = RichTable(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("", *runs):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    console.print()
