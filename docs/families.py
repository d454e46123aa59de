"""The metric families of a process as it declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.kit.metrics import Family, Values


def declared(
    registry: CollectorRegistry,
) -> Iterator[tuple[Counter | Gauge | Histogram, Mapping[str, Values]]]:
    """Each metric with its labels and their values, without those of the library's own collectors."""
    for collector in registry._collector_to_names:
        if isinstance(collector, Family):
            yield collector.metric, collector.labels
        elif isinstance(collector, Counter | Gauge | Histogram):
            yield collector, {}
