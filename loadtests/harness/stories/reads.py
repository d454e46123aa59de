"""What is said first where a question asks how many reads are kept from the databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Comparison, Result, Sentence
from loadtests.harness.wording import by_way, listed, number, percent


def story(result: Result, found: Comparison, names: Mapping[str, str]) -> Iterator[Sentence]:
    """Of the reads that follow an upload, those that each arm saves of the first one's SQL statements; a read
    is one. Nothing where they were not counted. They are of every upload, so they have no interval."""
    asked = {one.arm: one.statements for one in result.prices if one.statements is not None}
    counted = [one for one in found.arms if one.arm.name in asked]
    if len(counted) < 2 or not counted[0].arm.reads:
        return
    first, *others = (one.arm for one in counted)
    saved = [(names[arm.name], asked[first.name] - asked[arm.name]) for arm in others]
    kept = [f"{name} keeps {number(n)} ({percent(n / first.reads)})" for name, n in saved]
    takes = [f"{number(asked[one.arm.name])} {by_way(one.arm.name, names)}" for one in counted]
    text = (
        f"Of the {first.reads} reads that follow an upload, {listed(kept)} from the databases: the SQL "
        f"statements of an upload with its reads are {listed(takes)}, counted "
        "over the whole load."
    )
    yield Sentence(kind="answer", question=PartKind.COMPARE, text=text, evidence=found.arms[0].id)
