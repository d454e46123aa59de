"""What is said of file sizes: which arm is the fastest at which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from loadtests.harness.analysis.pairs import other_of, over_of, pair_of
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Comparison, Interval, Sentence, Size, Sizes
from loadtests.harness.wording import capital, listed, longer, ratio, size


def story(found: Sizes, names: Mapping[str, str], profile: str) -> Iterator[Sentence]:
    """``names`` are what arms are called in the middle of a sentence."""
    # What a size lacks that no arm could do other sentences say.
    if done := [one for one in found.sizes if any(arm.uploads for arm in one.comparison.arms)]:
        yield _answer(_fastest(done, names, profile), found.id)
    for below, above, small, large in found.crossovers:
        text = (
            f"{capital(names[below])} is faster than {names[above]} for files up to {size(small)}"
            f"{_times(found, small, below, above)}, and slower from {size(large)} on"
            f"{_times(found, large, below, above)}."
        )
        yield _answer(text, found.id)


def _fastest(found: Sequence[Size], names: Mapping[str, str], profile: str) -> str:
    if not any(one.comparison.best for one in found):
        every = listed([size(one.file_size_bytes) for one in found], "or")
        return f"No fastest way was shown for files of {every}{longer(profile)}."
    grouped = groupby(found, key=lambda one: _of(one.comparison, one.comparison.best))
    return f"{capital('; '.join(_clause(name, list(same), names) for name, same in grouped))}."


def _clause(best: str | None, same: Sequence[Size], names: Mapping[str, str]) -> str:
    """Of file sizes that have the same fastest arm, or none."""
    files = f"for files of {listed([size(one.file_size_bytes) for one in same])}"
    where = [f" at {size(one.file_size_bytes)}" if len(same) > 1 else "" for one in same]
    leads = [_lead(one.comparison, names) for one in same]
    told = [f"{lead}{at}" for lead, at in zip(leads, where, strict=True) if lead]
    if best is not None:
        return ", ".join((f"{files} {names[best]} is the fastest way here", *told))
    measured = f", where {listed(told)}" if told else ""
    return f"{files} no way is shown to be faster than all others{measured}"


def _lead(found: Comparison, names: Mapping[str, str]) -> str:
    """How far the arm with the highest rate is before the one that comes nearest to it."""
    rates = [one for one in found.ratios if one.metric == "uploads_per_s" and one.ratio.value]
    first = found.best or max(found.arms, key=lambda one: one.uploads_per_s.value or 0.0).arm.name
    overs = {other_of(one, first): over_of(one, first) for one in rates if first in pair_of(one)}
    if not overs:
        return ""
    second = min(overs, key=lambda name: overs[name].value or 0.0)
    which = "" if found.best else f"{names[_of(found, first) or first]} measured "
    return f"{which}{ratio(overs[second])} times as fast as {names[_of(found, second) or second]}"


def _times(found: Sizes, size_bytes: int, first: str, second: str) -> str:
    """The ratio of two arms of the question at a size, behind a comma; empty where it is not known."""
    over = next(
        (_over(one.comparison, first, second) for one in found.sizes if one.file_size_bytes == size_bytes),
        None,
    )
    return "" if over is None else f", {ratio(over)} times as fast"


def _over(found: Comparison, first: str, second: str) -> Interval | None:
    for one in found.ratios:
        if one.metric == "uploads_per_s":
            of = {_of(found, name): name for name in pair_of(one)}
            if of.keys() == {first, second}:
                return over_of(one, of[first])
    return None


def _of(found: Comparison, name: str | None) -> str | None:
    """The arm of the question that an arm of one size is."""
    return next((arm.arm.of for arm in found.arms if arm.arm.name == name), None)


def _answer(text: str, evidence: str) -> Sentence:
    return Sentence(kind="answer", question=PartKind.SIZES, text=text, evidence=evidence)
