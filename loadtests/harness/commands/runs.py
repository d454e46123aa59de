"""``make runs``: what was measured, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadtests.harness.govault.records import Findings, is_study
from loadtests.harness.govault.report import read_findings
from loadtests.harness.records.bundle import MANIFEST, PLAN, Bundle, BundleError
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.result import Result
from loadtests.harness.records.samples import Manifest
from loadtests.harness.report.conditions import facts, moment
from loadtests.harness.report.page import read_result
from loadtests.harness.running.session import by_start, results_folder
from loadtests.harness.wording import count

_STYLES = {"valid": "green", "valid with cautions": "yellow", "invalid": "red"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it can be told of."""

    path: Path
    manifest: Manifest
    plan: Plan
    result: Result


def read_run(path: Path) -> Run:
    """Raises ``BundleError`` where the folder holds no run that this version can read."""
    if is_study(path):
        raise BundleError(
            f"{path.name} is a run of make govault: it has no arms. Its report: make report RUN="
        )
    bundle = Bundle(path)
    return Run(path, bundle.manifest(), bundle.plan(), read_result(path))


def runs(environ: Mapping[str, str], console: Console) -> int:
    """Print every run: when, what was asked, on which machine, what was found, whether it holds. 0 always."""
    folder = results_folder(environ)
    paths = by_start(folder)[::-1]
    unread = 0
    for path in paths:
        try:
            lines = list(_lines_of_study(read_findings(path)) if is_study(path) else _lines(read_run(path)))
        except BundleError:
            unread += 1
            continue
        for line in lines:
            console.print(line)
        console.print()
    if not paths:
        console.print(f"There is no run in {folder} yet. Make one with: make stress", highlight=False)
    unbegun = sum(not (path.parent / MANIFEST).exists() for path in folder.glob(f"*/{PLAN}"))
    if unbegun:
        what = f"{count(unbegun, 'folder')} of runs that were killed before they began; they can be deleted."
        console.print(what, style="dim")
    if unread:
        console.print(f"{count(unread, 'folder')} of other versions or without a plan left out.", style="dim")
    return 0


def _lines(run: Run) -> Iterator[Text]:
    result, told = run.result, dict(facts(run.result))
    head = Text(run.manifest.run, style="bold")
    yield head.append("  ").append(result.validity.value, style=_STYLES[result.validity.value])
    when = moment(run.manifest.started_at)
    yield Text(f"{when}, {run.manifest.question}, {run.manifest.profile}; {told['machine']}", style="dim")
    yield Text(result.headline)


def _lines_of_study(found: Findings) -> Iterator[Text]:
    """A run of ``make govault``, which has no validity: its table says what each ramp is worth."""
    told = dict(found.facts)
    yield Text(found.run, style="bold").append("  ").append("interrupted" if found.interrupted else "study")
    where = f"govault, SCALE={found.scale:g} TIME={found.time:g}; {told['machine']}"
    yield Text(f"{told['measured']}, {where}", style="dim")
    yield Text(found.headline)
