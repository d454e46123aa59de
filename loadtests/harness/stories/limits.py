"""What is said of limits: what set the rates, with the evidence, each thing once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Limit, Sentence
from loadtests.harness.wording import listed


def story(own: Sequence[Limit], names: Mapping[str, str], question: PartKind) -> Iterator[Sentence]:
    """A sentence for each thing that set a rate, with whose rate where it was not everybody's. ``own`` are
    the limits of all arms, ``names`` what these are called in the middle of a sentence."""
    said = partial(Sentence, kind="detail", question=question)
    known = sorted((one for one in own if one.what), key=lambda one: one.what or "")
    if own and not known:
        yield said(text="What set the rates was not identified.", evidence=own[0].id)
    for what, same in groupby(known, key=lambda one: one.what):
        group = list(same)
        which = "" if len(group) == len(own) else f" of {listed([names[one.arm] for one in group])}"
        advice = f"; {group[0].advice}" if group[0].advice else ""
        text = f"What set the rate{which}: {what} ({_evidence(group, names)}){advice}."
        yield said(text=text, evidence=group[0].id)


def _evidence(group: Sequence[Limit], names: Mapping[str, str]) -> str:
    """What is evidence for all of them once, and what is for some only behind their names."""
    texts = dict.fromkeys(one.evidence or "" for one in group)
    if len(texts) == 1:
        return next(iter(texts))
    whose: dict[str, list[str]] = {}
    for one in group:
        for part in (one.evidence or "").split(", "):
            whose.setdefault(part, []).append(names[one.arm])
    said = (part if len(own) == len(group) else f"{listed(own)}: {part}" for part, own in whose.items())
    return "; ".join(said)
