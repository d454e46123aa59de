"""The time course of a run: cores by process, and whose turn it was."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from loadtests.harness import cost
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.periods import Floats, Usage
from loadtests.harness.records.result import Timeline
from loadtests.harness.records.vocabulary import service_of

MOST_POINTS = 240  # a longer run is averaged into so many


def timeline(facts: Facts) -> Timeline:
    start = facts.manifest.started_at
    turns = tuple(
        (stretch.part, arm, stretch.begin(at) - start, stretch.begin(at + 1) - start)
        for stretch in facts.stretches
        for at, arm in enumerate(stretch.order)
        if stretch.cut_at is None or stretch.begin(at) < stretch.cut_at
    )
    if not facts.looks:
        return Timeline(at_s=(), cores={}, turns=turns)
    end = max(look.at for look in facts.looks)
    width = max(1.0, (end - start) / MOST_POINTS)
    begins = start + width * np.arange(max(1, int((end - start) / width)))
    used = Usage(facts.looks).between(np.column_stack([begins, begins + width])).cpu_s
    cores: dict[str, Floats] = defaultdict(lambda: np.zeros(len(begins)))
    for watched, spent in used.items():
        cores[_shown(watched)] += np.nan_to_num(spent) / width
    return Timeline(
        at_s=tuple((begins - start).tolist()),
        cores={name: tuple(cores[name].tolist()) for name in sorted(cores, key=_order)},
        turns=turns,
    )


def _shown(watched: str) -> str:
    """The process, with its stack where it has one; replicas together."""
    stack, slash, process = watched.rpartition("/")
    name = cost.EXPORTERS if process.startswith("exporter-") else service_of(process)
    return f"{stack}{slash}{name}" if stack else name


def _order(name: str) -> tuple[int, str]:
    place, _ = cost.process_order(name.rpartition("/")[2])
    return place, name
