"""Whole runs one after the other, on record: the measured half of docs/statistics.md.

The page is written by ``python -m docs.statistics``. Every run of a series belongs on record, also one that
says what nobody likes. Of a run are kept its ratios and how long it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from docs.command import Command, Run
from docs.tables import table
from docs.writing import text_of
from loadtests.harness.records.base import Record
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.records.result import Interval, Metric, Ratio, Result
from loadtests.harness.records.vocabulary import Severity
from loadtests.harness.report.conditions import facts, moment
from loadtests.harness.report.page import read_result
from loadtests.harness.wording import arm_names, duration, listed, percent, ratio

RECORDS = Path(__file__).parent / "series.json"
RATE: Metric = "uploads_per_s"
CPU: Metric = "cpu_s_per_upload"

HEAD = """
## Whole runs on a real machine

Each series is of runs one after the other on one machine, all of them listed. "Holds 1" is of the intervals
that hold the ratio 1; of equal arms 95 of 100 should, of others none. Half-widths are shares of the ratio,
and cautions are what each run's own checks found.
"""


@dataclass(frozen=True, slots=True)
class Series:
    """What was done alike in every run, and what is true of its arms."""

    title: str
    truth: str


SERIES = {
    "equal": Series("A against A on one stack", "nothing differs"),
    "no-op": Series("Two stacks, a commit that changes nothing", "a comment was added"),
    "planted": Series(
        "Two stacks, a commit that costs processor time",
        "every request takes 18,750 square roots more in the gateway, planned as a fifth more processor time "
        "of an upload",
    ),
    "stress": Series("The five questions, three ways", "not known; neighbouring runs should overlap"),
}


class KeptRatio(Record):
    """``arm`` over ``base``, as their report names them."""

    metric: Metric
    arm: str
    base: str
    ratio: Interval
    winner_named: bool


class KeptRun(Record):
    run: str
    machine: str
    command: str
    started_at_s: float
    took_s: float
    cautions: tuple[str, ...]  # codes, each once
    ratios: tuple[KeptRatio, ...]


class Kept(Record):
    """Runs by the name of their series, in the order run."""

    series: dict[str, tuple[KeptRun, ...]]


def on_record(records: Path = RECORDS) -> Kept:
    return Kept.model_validate_json(records.read_bytes()) if records.exists() else Kept(series={})


def take(name: str, runs: Sequence[Path], records: Path = RECORDS) -> None:
    """Add ``runs`` to those on record. Raises ``BundleError`` for runs without a comparison."""
    results = [read_result(run) for run in runs]
    if without := [str(run) for run, result in zip(runs, results, strict=True) if result.compare is None]:
        raise BundleError(f"{listed(without)}: nothing was compared")
    before = on_record(records).series
    by_start = {one.started_at_s: one for one in (*before.get(name, ()), *map(_kept, results))}
    series = before | {name: tuple(by_start[at] for at in sorted(by_start))}
    records.write_text(text_of(Kept(series=series)), encoding="utf-8")


def _kept(result: Result) -> KeptRun:
    found, compared = result.conditions, result.compare
    names = arm_names(one.arm for one in compared.arms) if compared else {}
    ratios = compared.ratios if compared else ()
    return KeptRun(
        run=result.run,
        machine=dict(facts(result))["machine"],
        command=str(found["command"]),
        started_at_s=found["started_at"],
        took_s=found["ended_at"] - found["started_at"],
        cautions=tuple(
            dict.fromkeys(one.code for one in result.warnings if one.severity is Severity.CAUTION)
        ),
        ratios=tuple(_kept_ratio(one, names) for one in ratios if one.metric in (RATE, CPU)),
    )


def _kept_ratio(one: Ratio, names: Mapping[str, str]) -> KeptRatio:
    return KeptRatio(
        metric=one.metric,
        arm=names[one.arm],
        base=names[one.base],
        ratio=one.ratio,
        winner_named=one.winner_named,
    )


def section(kept: Kept) -> str:
    """What the page says of the series on record; empty where there is none."""
    found = [(SERIES[name], kept.series[name]) for name in SERIES if kept.series.get(name)]
    if not found:
        return ""
    head = ("series", "runs", "each took", "uploads/s: holds 1", "CPU: holds 1", "a winner named")
    rows = [
        (
            series.title,
            str(len(runs)),
            f"{duration(min(run.took_s for run in runs))} to {duration(max(run.took_s for run in runs))}",
            *(_holding(runs, metric) for metric in (RATE, CPU)),
            f"{sum(any(one.winner_named for one in run.ratios) for run in runs)} of {len(runs)}",
        )
        for series, runs in found
    ]
    return HEAD + "\n" + table(head, rows) + "".join(_listed(series, runs) for series, runs in found)


def _of(run: KeptRun, metric: Metric) -> list[KeptRatio]:
    return [one for one in run.ratios if one.metric == metric]


def _holding(runs: Sequence[KeptRun], metric: Metric) -> str:
    held = [_holds_1(one.ratio) for run in runs for one in _of(run, metric)]
    return f"{sum(held)} of {len(held)}"


def _holds_1(found: Interval) -> bool:
    return found.low is None or found.high is None or found.low <= 1 <= found.high


def _listed(series: Series, runs: Sequence[KeptRun]) -> str:
    first = runs[0]
    pairs = [f"{one.arm} / {one.base}" for one in _of(first, RATE)]
    rows = [
        (
            moment(run.started_at_s),
            duration(run.took_s),
            *(f"{ratio(one.ratio)} ±{percent(one.ratio.half_width)}" for one in _of(run, RATE)),
            *(ratio(one.ratio) for one in _of(run, CPU)),
            ", ".join(run.cautions) or "none",
        )
        for run in runs
    ]
    head = (
        "run",
        "took",
        *(f"uploads/s, {pair}" for pair in pairs),
        *(f"CPU, {pair}" for pair in pairs),
        "cautions",
    )
    machines = listed(tuple(dict.fromkeys(run.machine for run in runs)))
    return (
        f"\n### {series.title}\n\n`{first.command}`, on {machines}. What is true: {series.truth}.\n\n"
        + table(head, rows)
    )


@click.command(cls=Command)
@click.argument("series", type=click.Choice(tuple(SERIES)))
@click.argument("runs", nargs=-1, required=True, type=Run())
def main(series: str, runs: tuple[Path, ...]) -> None:
    """Add RUNS, ids or folders, to those on record of a series.

    Example: python -m docs.series equal results/20260731-101500-ab-ci results/20260731-102500-ab-ci
    """
    take(series, runs)


if __name__ == "__main__":
    main()
