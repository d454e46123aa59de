"""`make chaos`: drawn cases against a system of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import click

from loadtests.harness.words import Reader, WordsError, number, read_seed, whole
from tests.chaos.attack import Result, run_case
from tests.chaos.bed import Bed, running_bed
from tests.chaos.plan import Case, draw
from tests.faketime import library

BLOCK = 100
CASES, MOST_CASES = 50, 1_000_000
MOST_LIMIT_S = 604_800


class Words(NamedTuple):
    cases: int
    seed: int | None
    limit_s: float | None
    keep_going: bool


def read_words(environ: Mapping[str, str]) -> Words:
    """Raises `WordsError`."""
    reader = Reader(environ)
    counts = f"a whole number from 1 to {MOST_CASES}"
    cases = reader.take("CASES", lambda text: whole(text, 1, MOST_CASES), counts)
    seed = read_seed(reader)
    limits = f"seconds, 0 to {MOST_LIMIT_S}"
    limit_s = reader.take("LIMIT_S", lambda text: number(text, 0, MOST_LIMIT_S), limits)
    keep_going = reader.one_of("KEEP_GOING", ("0", "1")) == "1"
    reader.end()
    return Words(cases or CASES, seed, limit_s, keep_going)


def in_blocks(cases: list[Case], block_size: int = BLOCK) -> list[Case]:
    """The cases, those of one kind of upload service next to each other within a block: turning to
    another kind restarts processes."""
    ordered = []
    for at in range(0, len(cases), block_size):
        block = cases[at : at + block_size]
        ordered += sorted(block, key=lambda one: (one.chunk_store, one.clock_ahead))
    return ordered


def possible(case: Case, bed: Bed) -> str | None:
    """Why a case cannot be run here; None: it can."""
    if case.clock_ahead and bed.faketime is None:
        return "clock"
    if any(fault.kind == "disk" for fault in case.faults) and not bed.disk:
        return "disk"
    if not case.within(bed.strategies).uploads:
        return "uploads"
    return None


def told(result: Result) -> str:
    case = result.case
    lines = [f"\ncase {case.seed} FAILED; again: make chaos CASES=1 SEED={case.seed}", "what it does:"]
    lines += [json.dumps(case.told(), indent=1, ensure_ascii=True)]
    lines += ["what disagrees:", *(f"  {text}" for text in result.wrong)]
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cases", type=click.IntRange(1), help=f"How many; {CASES} when not said.")
@click.option("--seed", type=int, help="Of the first case; the next has the next. Drawn if absent.")
@click.option("--limit-s", type=float, help="Begin no case after so many seconds.")
@click.option("--keep-going", is_flag=True, help="Go on after a case that failed.")
def main(cases: int | None, seed: int | None, limit_s: float | None, keep_going: bool) -> None:
    """Draw uploads and faults from a seed, run them against a system of its own, judge each case.

    Exit 0: nothing was lost, doubled or left. 1: a case failed; its plan and the command that repeats it are
    printed. 2: a word is wrong. 130: interrupted; what was started is ended.

    Example: make chaos CASES=200 SEED=20241
    """
    try:
        said = read_words(os.environ)
    except WordsError as error:
        click.echo(f"\n{error}", err=True)
        sys.exit(2)
    cases = cases or said.cases
    seed = said.seed if seed is None else seed
    limit_s = said.limit_s if limit_s is None else limit_s
    keep_going |= said.keep_going
    first = secrets.randbelow(10**9) if seed is None else seed
    click.echo(f"seed {first}; again: make chaos CASES={cases} SEED={first}")
    try:
        failed = run(first, cases, limit_s, keep_going=keep_going)
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; again: make chaos CASES={cases} SEED={first}", err=True)
        sys.exit(130)
    sys.exit(1 if failed else 0)


def run(first: int, cases: int, limit_s: float | None, *, keep_going: bool) -> int:
    """How many cases failed."""
    drawn = in_blocks([draw(first + number) for number in range(cases)])
    began, results, skipped = time.monotonic(), list[Result](), Counter[str]()
    click.echo("starting the system …")
    try:
        with running_bed(library(click.echo), say=click.echo) as bed, asyncio.Runner() as runner:
            for number, case in enumerate(drawn, start=1):
                if limit_s is not None and time.monotonic() - began > limit_s:
                    break
                if reason := possible(case, bed):
                    skipped[reason] += 1
                    continue
                results.append(one(runner, bed, case))
                click.echo(line(number, len(drawn), results[-1]))
                if results[-1].wrong:
                    click.echo(told(results[-1]))
                    if not keep_going:
                        break
            click.echo(f"requests hit by the proxies: {dict(sorted(bed.proxy.hits.items()))}")
    finally:
        click.echo(absences(results))
        click.echo(summary(results, skipped))
    return sum(bool(result.wrong) for result in results)


def one(runner: asyncio.Runner, bed: Bed, case: Case) -> Result:
    try:
        return runner.run(run_case(bed, case))
    except Exception:
        click.echo(f"case {case.seed} broke the suite; again: make chaos CASES=1 SEED={case.seed}")
        raise


def line(number: int, of: int, result: Result) -> str:
    case = result.case
    faults = ", ".join(
        f"{fault.kind}{':' + fault.action if fault.action else ''} {'+'.join(fault.targets)}".strip()
        for fault in case.faults
    )
    verdict = "FAILED" if result.wrong else "ok"
    variant = case.chunk_store + (" ahead" if case.clock_ahead else "")
    return (
        f"[{number}/{of}] {case.seed} {variant}: {len(case.uploads)} uploads, {faults or 'no fault'}"
        f"{' (' + str(result.struck) + ' struck)' if faults else ''}: "
        f"{verdict}, {result.acknowledged} acknowledged, "
        f"{result.resent} sent again, {len(result.began_again)} begun again, "
        f"left {result.left or 'nothing'}, {result.took_s:.1f} s"
    )


def absences(results: list[Result]) -> str:
    """How long what was killed or stood still was missed, as a table."""
    unserved_s, away_s = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for result in results:
        for struck, seconds in result.unserved_s.items():
            unserved_s[struck].append(seconds)
        for part, seconds in result.away_s.items():
            away_s[part].append(seconds)
    lines = [f"{'struck, alone in its case':<28}{'times':>6}{'served again after, longest':>30}"]
    lines += [
        f"{struck:<28}{len(times):>6}{max(times):>28.2f} s" for struck, times in sorted(unserved_s.items())
    ]
    lines += [f"{'killed, in any case':<28}{'times':>6}{'process well again after, longest':>36}"]
    lines += [f"{part:<28}{len(times):>6}{max(times):>34.2f} s" for part, times in sorted(away_s.items())]
    return "\n".join(lines)


def summary(results: list[Result], skipped: Counter[str]) -> str:
    failed = [result.case.seed for result in results if result.wrong]
    uploads = sum(len(result.case.uploads) for result in results)
    began = Counter(why.split(": ")[-1] for result in results for why in result.began_again)
    struck = sum(bool(result.struck) for result in results)
    text = (
        f"\n{len(results)} cases, in {struck} of them a fault struck; {uploads} uploads, "
        f"{sum(r.acknowledged for r in results)} acknowledged, "
        f"{sum(r.resent for r in results)} requests sent again, begun again: {dict(began) or 'none'}; "
        f"{len(failed)} cases failed{': ' + str(failed) if failed else ''}"
    )
    return text + (f"; not possible here: {dict(skipped)}" if skipped else "")


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupted)
    main()
