"""Counters, gauges and histograms of one event loop, rendered by the Prometheus client library.

The library's own types take a mutex for each addition, because they serve threads. Here one thread counts
(a thread that has something to report hands it to the loop), so a count is an addition, and a histogram
one bisection and two additions. Everything else is the library's: registry, text format, process figures.

A family knows which values its labels may have. Children are made once per set of values and kept, and
what a family has not declared counts as ``other``, so no request can make a series.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, product
from typing import ClassVar, Generic, TypeVar

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

OTHER = "other"
MAX_CHILDREN = 1_000  # of one family: more than all route templates with all their statuses

# The values of a label: all of them, or the words for the table in the code that they come from.
Values = tuple[str, ...] | str
Labels = Mapping[str, Values]


class Counter:
    """A sum that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount


class Gauge:
    """A value now: kept, or asked for at each scrape."""

    __slots__ = ("_ask", "_kept")

    def __init__(self) -> None:
        self._kept = 0.0
        self._ask: Callable[[], float] | None = None

    def inc(self, amount: float = 1.0) -> None:
        self._kept += amount

    def dec(self, amount: float = 1.0) -> None:
        self._kept -= amount

    def set(self, value: float) -> None:
        self._kept = value

    def set_function(self, ask: Callable[[], float]) -> None:
        """Ask this for the value from now on."""
        self._ask = ask

    @property
    def value(self) -> float:
        return self._kept if self._ask is None else self._ask()


class Histogram:
    """Observations counted by bucket; ``bounds`` are upper and inclusive."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


Child = TypeVar("Child", Counter, Gauge, Histogram)


class Family(Collector, Generic[Child]):
    """All children of one name.

    Args:
        name: as exposed, without a counter's ``_total``.
        documentation: what it counts, with its unit.
        labels: label names and the values each may have.
        registry: where it is collected from.
    """

    kind: ClassVar[str]

    def __init__(
        self, name: str, documentation: str, labels: Labels | None = None, *, registry: CollectorRegistry
    ) -> None:
        self.name, self.documentation = name, documentation
        self.labels: Labels = labels or {}
        self._children: dict[tuple[str, ...], Child] = {}
        registry.register(self)

    def __call__(self, *values: str) -> Child:
        """The child with these label values, in the order of the declaration."""
        child = self._children.get(values)
        return child if child is not None else self._admit(values)

    def _admit(self, values: tuple[str, ...]) -> Child:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has labels {tuple(self.labels)}, not values {values}")
        kept = tuple(
            str(value) if isinstance(known, str) or value in known else OTHER
            for value, known in zip(values, self.labels.values(), strict=True)
        )
        if kept not in self._children and len(self._children) >= MAX_CHILDREN:
            kept = (OTHER,) * len(values)
        child = self._children.get(kept)
        if child is None:
            child = self._children[kept] = self._make()
        return child

    @abstractmethod
    def _make(self) -> Child: ...

    def describe(self) -> Iterable[Metric]:
        """The family without its samples; the registry asks for it at declaration."""
        return [Metric(self.name, self.documentation, self.kind)]

    def collect(self) -> Iterable[Metric]:
        """The family as it is now."""
        metric = Metric(self.name, self.documentation, self.kind)
        for values, child in tuple(self._children.items()):
            metric.samples.extend(self._samples(dict(zip(self.labels, values, strict=True)), child))
        return [metric]

    @abstractmethod
    def _samples(self, labels: dict[str, str], child: Child) -> Iterable[Sample]: ...


class Counters(Family[Counter]):
    """Counters; where all label values are known, all start at 0, so that the first event is an increase."""

    kind = "counter"

    def __init__(
        self, name: str, documentation: str, labels: Labels | None = None, *, registry: CollectorRegistry
    ) -> None:
        super().__init__(name, documentation, labels, registry=registry)
        known = [values for values in self.labels.values() if not isinstance(values, str)]
        if len(known) == len(self.labels):
            for values in product(*known):
                self(*values)

    def _make(self) -> Counter:
        return Counter()

    def _samples(self, labels: dict[str, str], child: Counter) -> Iterable[Sample]:
        yield Sample(f"{self.name}_total", labels, child.value)


class Gauges(Family[Gauge]):
    """Gauges; one appears with its first use."""

    kind = "gauge"

    def _make(self) -> Gauge:
        return Gauge()

    def _samples(self, labels: dict[str, str], child: Gauge) -> Iterable[Sample]:
        yield Sample(self.name, labels, child.value)


class Histograms(Family[Histogram]):
    """Histograms that share their bounds; one appears with its first use."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels | None = None,
        *,
        bounds: tuple[float, ...],
        registry: CollectorRegistry,
    ) -> None:
        super().__init__(name, documentation, labels, registry=registry)
        self.bounds = tuple(map(float, bounds))
        self._le = (*map(str, self.bounds), "+Inf")

    def _make(self) -> Histogram:
        return Histogram(self.bounds)

    def _samples(self, labels: dict[str, str], child: Histogram) -> Iterable[Sample]:
        counts, total = tuple(child.counts), child.sum
        reached = 0
        for le, reached in zip(self._le, accumulate(counts), strict=True):
            yield Sample(f"{self.name}_bucket", {**labels, "le": le}, reached)
        yield Sample(f"{self.name}_count", labels, reached)
        yield Sample(f"{self.name}_sum", labels, total)
