"""Fills the figures of the labs in docs/learn from the runs in docs/answers.

Only the marked part of a page is written here; a lab whose question has no run on record says so. What a law
predicts is computed here from the measured figures too, so that no page holds a number that somebody typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from docs.answers import RECORDS, Answer, answers
from docs.command import Command
from docs.tables import table
from docs.writing import filled, write
from loadtests.harness.records.result import ArmResult, Metric, Result
from loadtests.harness.report.conditions import facts
from loadtests.harness.wording import (
    MISSING,
    arm_names,
    capital,
    cpu_ms,
    milliseconds,
    percent,
    precise,
    ratio,
    waited,
    with_interval,
)

FOLDER = Path(__file__).parent / "learn"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True, slots=True)
class Lab:
    """A page of the folder, the prepared question that it asks, and the tables that its run makes."""

    page: str
    question: str
    tables: Callable[[Result], Iterator[str]]

    @property
    def command(self) -> str:
        return f"make ask Q={self.question}"


def queueing(result: Result) -> Iterator[str]:
    """Each way at each offered rate, beside what one queue with one server would do."""
    names, fits = _names(result), _rates(result)
    first: dict[str, tuple[float, float]] = {}
    rows = []
    for cell in result.offers.cells if result.offers else ():
        p95_ms = cell.acked_p95.ms.value
        if p95_ms is None or cell.arm not in fits:
            continue
        used = cell.offered_per_s / fits[cell.arm]
        used_first, p95_first_ms = first.setdefault(cell.arm, (used, p95_ms))
        predicted = f"{precise((1 - used_first) / (1 - used))} times" if used < 1 else "no end"
        lost = sum(share or 0.0 for share in (cell.refused, cell.failed, cell.dropped))
        rows.append(
            (
                names[cell.arm],
                percent(used),
                waited(cell.acked_p95.ms),
                f"{precise(p95_ms / p95_first_ms)} times",
                predicted,
                percent(lost),
            )
        )
    head = ("way", "utilisation", "95 % waited less than", "of its first row", "one queue", "not served")
    yield table(head, rows)


def loops(result: Result) -> Iterator[str]:
    """The closed loop with Little's law, then the open one."""
    names = _names(result)
    closed = (
        (
            names[one.arm.name],
            str(one.arm.vus),
            with_interval(one.uploads_per_s),
            _by_little(one),
            waited(one.acked_p50.ms),
            waited(one.acked_p95.ms),
        )
        for one in _arms(result)
    )
    head = ("closed loop", "clients", "uploads/s", "clients / rate", "median wait", "95 % waited less than")
    yield table(head, closed)
    cells = result.offers.cells if result.offers else ()
    arriving = (
        (
            names[cell.arm],
            f"{percent(cell.share)} of what fits",
            with_interval(cell.uploads_per_s),
            waited(cell.acked_p95.ms),
            percent(cell.dropped),
        )
        for cell in cells
    )
    yield table(("open loop", "offered", "uploads/s", "95 % waited less than", "not begun"), arriving)


def generator(result: Result) -> Iterator[str]:
    """What k6 takes of the machine, and what is left of the ratio without it."""
    names = _names(result)
    cores = float((result.conditions.get("host") or {}).get("cores") or 0.0)
    rows = []
    for one in _arms(result):
        each_s, rate = _seconds(one, "k6"), one.uploads_per_s.value
        busy = None if each_s is None or rate is None else rate * each_s
        share = None if busy is None or not cores else busy / cores
        rows.append(
            (
                names[one.arm.name],
                with_interval(one.uploads_per_s),
                _ms(one.cpu_s_per_upload.value),
                _ms(each_s),
                precise(busy),
                percent(share),
            )
        )
    yield table(("way", "uploads/s", "ours", "k6", "cores that k6 kept busy", "of the machine"), rows)
    yield _ratios(result, {"uploads_per_s": "as measured", "uploads_per_s_without_k6": "without k6's part"})
    yield _limits(result)


def durable(result: Result) -> Iterator[str]:
    """How long each way's promise runs ahead of the deed, and what kills took of the promised."""
    names = _names(result)
    kills = {one.arm: one for one in result.kills.arms} if result.kills else {}
    rows, taken = [], []
    for one in _arms(result):
        name, found = names[one.arm.name], kills.get(one.arm.name)
        rate, acked, kept = one.uploads_per_s.value, one.acked_p50.ms.value, one.durable_p50.ms.value
        ahead_ms = None if acked is None or kept is None else max(0.0, kept - acked)
        at_risk = None if rate is None or ahead_ms is None else rate * ahead_ms / 1000
        rows.append((name, waited(one.acked_p50.ms), waited(one.durable_p50.ms), milliseconds(ahead_ms)))
        if found is not None and found.kills:
            counts = (f"{count:,}" for count in (len(found.kills), found.acknowledged, found.gone))
            taken.append((name, *counts, precise(found.gone / len(found.kills)), precise(at_risk)))
    yield table(("way", "told (median)", "durable (median)", "ahead by"), rows)
    yield table(("way", "kills", "acknowledged", "gone", "gone in each kill", "rate x ahead"), taken)


def hop(result: Result) -> Iterator[str]:
    """What each arrangement costs, process by process, and the ratios."""
    names = _names(result)
    rows = [
        (
            names[one.arm.name],
            with_interval(one.uploads_per_s),
            waited(one.acked_p50.ms),
            *(_ms(_seconds(one, name)) for name in ("nginx", "gateway", "k6")),
            _ms(one.cpu_s_per_upload.value),
        )
        for one in _arms(result)
    ]
    yield table(("way", "uploads/s", "median wait", "nginx", "gateway", "k6", "all of ours"), rows)
    yield _ratios(result, {"uploads_per_s": "uploads/s", "cpu_s_per_upload": "processor time of ours"})


LABS = (
    Lab("1-queueing.md", "rates", queueing),
    Lab("2-loops.md", "loops", loops),
    Lab("3-generator.md", "generator", generator),
    Lab("4-durable.md", "durable", durable),
    Lab("5-hop.md", "hops", hop),
)


def _arms(result: Result) -> Sequence[ArmResult]:
    return result.compare.arms if result.compare else ()


def _names(result: Result) -> dict[str, str]:
    return arm_names(one.arm for one in _arms(result))


def _rates(result: Result) -> dict[str, float]:
    """What each arm can do: its rate in the closed loop, by name."""
    return {one.arm.name: one.uploads_per_s.value for one in _arms(result) if one.uploads_per_s.value}


def _seconds(one: ArmResult, process: str) -> float | None:
    """Processor time of one upload in one process."""
    found = one.cpu_s_by_process.get(process)
    return found.value if found else None


def _ms(seconds: float | None) -> str:
    """Processor time of one upload, with its unit."""
    return MISSING if seconds is None else f"{cpu_ms(seconds)} ms"


def _by_little(one: ArmResult) -> str:
    """How long a client of a closed loop waits on the average, by Little's law."""
    rate = one.uploads_per_s.value
    return milliseconds(1000 * one.arm.vus / rate) if rate else MISSING


def _ratios(result: Result, shown: Mapping[Metric, str]) -> str:
    names = _names(result)
    compared = result.compare.ratios if result.compare else ()
    rows = [
        (f"{names[one.arm]} over {names[one.base]}", shown[one.metric], ratio(one.ratio), one.verdict.value)
        for one in compared
        if one.metric in shown
    ]
    return table(("ratio", "of", "times", "verdict"), rows)


def _limits(result: Result) -> str:
    names = _names(result)
    rows = [
        (names[one.arm], one.what or "not identified", one.evidence or MISSING)
        for one in result.limits
        if one.part == "compare"
    ]
    return table(("way", "what set its rate", "evidence"), rows)


def figures(lab: Lab, answer: Answer, records: Path = RECORDS) -> str:
    """The marked part of a lab's page."""
    result = answer.result
    if result is None:
        return (
            f"Not run yet: no run of `{lab.command}` is on record. `python -m docs.answers results/<run>`"
            " takes one, `python -m docs.learn` writes it here.\n"
        )
    known = dict(facts(result))
    machine = ", ".join(known[name] for name in ("machine", "runs in", "measured") if name in known)
    parts = [
        f"`{answer.command}` on {machine}: {result.validity.value}"
        f" ([all that it found](../answers.md#{lab.question})).\n",
        *lab.tables(result),
    ]
    told = [sentence.text for sentence in result.sentences if sentence.kind in ("invalid", "answer")]
    told += [f"{capital(name)}: {text}" for name, text in answer.lines()]
    parts += ["".join(f"- {text}\n" for text in told)] if told else []
    if (records / f"{lab.question}.svg").exists():
        parts.append(f"![{answer.question.question}](../answers/{lab.question}.svg)\n")
    return "\n".join(parts)


def pages(records: Path = RECORDS) -> dict[Path, str]:
    """Every lab's page with its figures."""
    known = {one.question.name: one for one in answers(records)}
    return {
        FOLDER / lab.page: filled(FOLDER / lab.page, BEGIN, END, figures(lab, known[lab.question], records))
        for lab in LABS
    }


@click.command(cls=Command)
def main() -> None:
    """Write the figures of the labs in docs/learn from the runs on record in docs/answers.

    Example: python -m docs.learn
    """
    write(pages())


if __name__ == "__main__":
    main()
