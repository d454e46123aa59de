"""The time course of a run: CPU by process, and which trial ran when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.model import Timeline
from loadtests.harness.analysis.price import process_order
from loadtests.harness.records.model import MonitorSample

MAX_POINTS = 240  # a longer run is averaged into this many bins


def timeline(facts: Facts) -> Timeline:
    samples = [sample for sample in facts.monitor if sample.name != "host"]
    spans = tuple(
        (t.plan.trial, t.plan.arm, t.load_started_at - facts.manifest.started_at,
         t.load_ended_at - facts.manifest.started_at)
        for t in facts.trials
    )  # fmt: skip
    if not samples:
        return Timeline(at_s=(), cores={}, trials=spans)
    start, end = facts.manifest.started_at, max(sample.at for sample in samples)
    width = max(1.0, (end - start) / MAX_POINTS)
    bins = int((end - start) / width) + 1
    cores: dict[str, list[float]] = defaultdict(lambda: [0.0] * bins)
    for name, values in _by_process(samples, start, width, bins):
        cores[name] = [total + value for total, value in zip(cores[name], values, strict=True)]
    named = {name: tuple(cores[name]) for name in sorted(cores, key=process_order)}
    return Timeline(at_s=tuple(i * width for i in range(bins)), cores=named, trials=spans)


def _by_process(
    samples: Sequence[MonitorSample], start: float, width: float, bins: int
) -> Iterator[tuple[str, list[float]]]:
    """Mean cores in each bin, one series for each process id (a name may have several)."""
    sums: dict[tuple[str, int | None], list[float]] = defaultdict(lambda: [0.0] * bins)
    counts: dict[tuple[str, int | None], list[int]] = defaultdict(lambda: [0] * bins)
    for sample in samples:
        key = (sample.name, sample.pid)
        index = min(bins - 1, max(0, int((sample.at - start) / width)))
        sums[key][index] += sample.cpu_cores
        counts[key][index] += 1
    for key, totals in sums.items():
        yield key[0], [s / n if n else 0.0 for s, n in zip(totals, counts[key], strict=True)]
