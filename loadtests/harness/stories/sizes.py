"""What is said of file sizes: which arm is the fastest at which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Comparison, Sentence, Sizes
from loadtests.harness.wording import capital, listed, longer, size


def story(found: Sizes, names: Mapping[str, str], profile: str) -> Iterator[Sentence]:
    """``names`` are what arms are called in the middle of a sentence."""
    for below, above, small, large in found.crossovers:
        text = (
            f"{capital(names[below])} is faster than {names[above]} for files up to {size(small)}, and "
            f"slower from {size(large)} on."
        )
        yield _answer(text, found.id)
    # What a size that no arm could do lacks other sentences say.
    done = [one for one in found.sizes if any(arm.uploads for arm in one.comparison.arms)]
    best = [(one.file_size_bytes, _of(one.comparison, one.comparison.best)) for one in done]
    if not done:
        return
    if not any(name for _, name in best):
        every = listed([size(one.file_size_bytes) for one in done], "or")
        text = f"No fastest way was shown for files of {every}{longer(profile)}."
        yield _answer(text, found.id)
        return
    groups = [(name, [size(b) for b, _ in same]) for name, same in groupby(best, key=lambda one: one[1])]
    clauses = [f"{listed(sizes)} {names[name] if name else 'no winner shown'}" for name, sizes in groups]
    yield _answer(f"The fastest by file size: {'; '.join(clauses)}.", found.id)


def _of(found: Comparison, name: str | None) -> str | None:
    """The arm of the question that an arm of one size is."""
    return next((arm.arm.of for arm in found.arms if arm.arm.name == name), None)


def _answer(text: str, evidence: str) -> Sentence:
    return Sentence(kind="answer", question=PartKind.SIZES, text=text, evidence=evidence)
