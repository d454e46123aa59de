"""What is said of the load generator, which on a full machine works on the processors that it measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loadtests.harness.analysis.pairs import other_of, over_of, pair_of
from loadtests.harness.cost import GENERATOR
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Comparison, Interval, Ratio, Result, Sentence, Verdict
from loadtests.harness.wording import cpu_interval, known_of_each, listed, near_end_first, ratio, unit_of

ALL_PROCESSORS = "all processors"  # as ``limits`` names it
WITHOUT_K6 = "uploads_per_s_without_k6"


def story(
    result: Result, found: Comparison, names: Mapping[str, str], *, without: bool
) -> Iterator[Sentence]:
    """On a full machine what the client needs is taken from the system. ``names`` are what arms are called in
    the middle of a sentence; ``without`` says too what ratios would be if it worked elsewhere."""
    full = on_full_machine(result, found)
    busy = [one for one in found.arms if one.arm.name in full and GENERATOR in one.cpu_s_by_process]
    used = [(one.arm.name, one.cpu_s_by_process[GENERATOR]) for one in busy]
    own = known_of_each(used, cpu_interval, names)
    both = [one for one in found.ratios if full.issuperset(pair_of(one))]
    ratios = [one for one in both if one.metric == "k6_cpu_s_per_upload"]
    if not own or not ratios:
        return
    differs = any(one.verdict in (Verdict.MORE, Verdict.LESS) for one in ratios)
    meaning = (
        "part of their ratios is the client's own work"
        if differs
        else "no difference of the arms is shown in it"
    )
    unit = unit_of(one.arm for one in found.arms)
    text = (
        f"All processors were busy, and of their time each {unit} took the load generator {listed(own)}: "
        f"{meaning}."
    )
    yield Sentence(kind="detail", question=PartKind.COMPARE, text=text, evidence=ratios[0].id)
    if without:
        yield from _without_k6(result, found, names)


def _without_k6(result: Result, found: Comparison, names: Mapping[str, str]) -> Iterator[Sentence]:
    """The ratios of the first sentence as they would be without the client's work."""
    every = [one for one in meaningful(result, found) if one.metric == WITHOUT_K6]
    told = [one for one in every if found.best in (None, *pair_of(one)) and one.ratio.low is not None]
    if not told:
        return
    if found.best is not None:
        clauses = [f"{_times(over_of(one, found.best))} {names[other_of(one, found.best)]}" for one in told]
        would = f"{names[found.best]} would be {listed(clauses)}"
    else:
        would = "; ".join(_would(one, names) for one in told)
    text = f"With the load generator on a machine of its own, {would}, if all else cost the same."
    yield Sentence(kind="detail", question=PartKind.COMPARE, text=text, evidence=told[0].id)


def _would(one: Ratio, names: Mapping[str, str]) -> str:
    """Two arms in a clause, the one that measured more first."""
    first = one.arm if (one.ratio.value or 0.0) >= 1 else one.base
    return f"{names[first]} would be {_times(over_of(one, first))} {names[other_of(one, first)]}"


def _times(over: Interval) -> str:
    surely = over.low is not None and over.low > 1
    return f"{near_end_first(over) if surely else f'{ratio(over)} times'} as fast as"


def on_full_machine(result: Result, found: Comparison) -> frozenset[str]:
    """Arms of a comparison whose rate was set by all processors."""
    own = (one for one in result.limits if one.part == found.part and one.what == ALL_PROCESSORS)
    return frozenset(one.arm for one in own)


def meaningful(result: Result, found: Comparison) -> list[Ratio]:
    """The ratios without those that say nothing where the machine was not full."""
    full = on_full_machine(result, found)
    return [one for one in found.ratios if one.metric != WITHOUT_K6 or full.issuperset(pair_of(one))]
