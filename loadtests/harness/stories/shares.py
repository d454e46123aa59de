"""What is said first where a question asks how much of the processor time one process takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loadtests.harness.analysis.pairs import more_first, over_of
from loadtests.harness.cost import GENERATOR, share_of, share_of_services
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Comparison, Result, Sentence
from loadtests.harness.stories.generator import WITHOUT_K6, meaningful
from loadtests.harness.wording import known_of_each, listed, percent_interval, ratio


def story(result: Result, found: Comparison, names: Mapping[str, str]) -> Iterator[Sentence]:
    """Nothing where it cannot be said. ``names`` are what arms are called in the middle of a sentence."""
    process = result.share_of
    if process is None:
        return
    part = share_of if process == GENERATOR else share_of_services
    own = [(one.arm.name, part(process, one.cpu_s_by_process)) for one in found.arms]
    known = known_of_each(own, percent_interval, names)
    if not known:
        return
    if process == GENERATOR:
        text = f"Of the processor time that was spent, the load generator takes {listed(known)}"
        text = "; ".join((text, *_without_it(result, found, names)))
    else:
        text = f"Of the services' processor time {process} takes {listed(known)}"
    yield Sentence(kind="answer", question=PartKind.COMPARE, text=f"{text}.", evidence=found.arms[0].id)


def _without_it(result: Result, found: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """What its part does to the ratios: each as measured, and as it would be without it."""
    without = {(one.base, one.arm): one for one in meaningful(result, found) if one.metric == WITHOUT_K6}
    for one in found.ratios:
        other = without.get((one.base, one.arm))
        if one.metric == "uploads_per_s" and other is not None:
            first, second, over = more_first(one)
            would = ratio(over_of(other, first))
            yield (
                f"{names[first]} measured {ratio(over)} times as fast as {names[second]}, and would be"
                f" {would} times as fast with the load generator on a machine of its own, if all else cost"
                " the same"
            )
