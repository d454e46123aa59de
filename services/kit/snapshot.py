"""All figures of a process at once, counted since its start or since the last reset.

For whoever measures a span without a Prometheus beside it. A reset moves only the point from which the
snapshot counts: what Prometheus reads never goes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.samples import Sample

CUMULATIVE = ("counter", "histogram", "summary")

Key = tuple[str, tuple[tuple[str, str], ...]]


class Snapshot:
    """The figures of a registry against those of the last reset.

    Args:
        registry: where the figures are collected from.
        since: when counting began, RFC 3339.
    """

    def __init__(self, registry: CollectorRegistry, since: str) -> None:
        self.since = since
        self._registry = registry
        self._before: dict[Key, float] = {}

    def reset(self, now: str) -> None:
        """Count from here; ``now`` is the time that answers from then on give as ``since``."""
        self._before = {_key(sample): sample.value for sample in self._counted()}
        self.since = now

    def metrics(self) -> dict[str, Any]:
        """By family: type, meaning, and samples with name, labels and value. Gauges are as they are now."""
        return {metric.name: self._family(metric) for metric in self._registry.collect()}

    def _family(self, metric: Metric) -> dict[str, Any]:
        samples = [
            {"name": sample.name, "labels": sample.labels, "value": sample.value - self._base(sample)}
            for sample in metric.samples
        ]
        return {"type": metric.type, "help": metric.documentation, "samples": samples}

    def _base(self, sample: Sample) -> float:
        return self._before.get(_key(sample), 0.0)

    def _counted(self) -> Iterator[Sample]:
        for metric in self._registry.collect():
            if metric.type in CUMULATIVE:
                yield from metric.samples


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))
