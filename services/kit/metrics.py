"""The metric families that every process has, of the Prometheus client library's own types.

Each process has one ``metrics.py`` that builds one registry; nothing else creates a metric.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, Generic, TypeAlias, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

# When a series began is on no dashboard, and would double the counters' series.
disable_created_metrics()  # type: ignore[no-untyped-call]

HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60)
FAST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER")
CLIENT_GONE = 499

# Values that tables in the code fix; these words stand for them in the documentation.
TEMPLATES = "route templates, or `unmatched`"
STATUSES = "status codes, 499 for a client that left"
STATEMENTS = "names of SQL statements"
UPSTREAMS = "names of services"
STORE_OPERATIONS = "operations of the object store"

OTHER = "other"
MAX_CHILDREN = 1_000  # of one family: more than all route templates with all their statuses

# The values of a label: all of them, or the words for the table in the code that they come from.
Values: TypeAlias = tuple[str, ...] | str
Kind = TypeVar("Kind", Counter, Gauge, Histogram)


class Family(Collector, Generic[Kind]):
    """A metric of the library with labels, whose children are kept: counting costs one look-up.

    A value that is not declared counts as ``other``, so no request can make a series. Counters whose values
    are all declared start at 0, so that the first event is an increase; any other child appears with its
    first use.

    Args:
        kind: the library's type.
        labels: label names and the values each may have.
        options: the library's, as ``buckets``.
    """

    def __init__(
        self,
        kind: type[Kind],
        name: str,
        documentation: str,
        labels: Mapping[str, Values],
        *,
        registry: CollectorRegistry,
        **options: Any,
    ) -> None:
        self.metric: Kind = kind(name, documentation, tuple(labels), registry=None, **options)
        self.labels = labels
        self._children: dict[tuple[str, ...], Kind] = {}
        registry.register(self)
        known = [values for values in labels.values() if not isinstance(values, str)]
        if kind is Counter and len(known) == len(labels):
            for values in product(*known):
                self(*values)

    def __call__(self, *values: str) -> Kind:
        """The child with these label values, in the order of the declaration."""
        child = self._children.get(values)
        return child if child is not None else self._admit(values)

    def _admit(self, values: tuple[str, ...]) -> Kind:
        kept = tuple(
            value if isinstance(known, str) or value in known else OTHER
            for value, known in zip(values, self.labels.values(), strict=True)
        )
        if kept not in self._children and len(self._children) >= MAX_CHILDREN:
            kept = (OTHER,) * len(values)
        if kept not in self._children:
            self._children[kept] = self.metric.labels(*kept)
        return self._children[kept]

    def describe(self) -> Iterable[Metric]:
        return self.metric.describe()

    def collect(self) -> Iterable[Metric]:
        return self.metric.collect()


Counters: TypeAlias = Family[Counter]


def base_registry() -> CollectorRegistry:
    """A registry with the client library's own process, platform and collector figures."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Only(Collector):
    """A registry of one family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


async def exposition(registry: CollectorRegistry) -> bytes:
    """The page that Prometheus reads.

    A whole page takes tens of milliseconds once a process knows a thousand series; rendered family by
    family, no request waits longer than one of them takes.
    """
    parts = []
    for metric in registry.collect():
        parts.append(generate_latest(_Only(metric)))
        await asyncio.sleep(0)
    return b"".join(parts)


class HttpMetrics:
    """The three HTTP families of every process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Family(
            Counter,
            "http_requests",
            "Requests answered",
            {"method": METHODS, "path": TEMPLATES, "status": STATUSES},
            registry=registry,
        )
        self.seconds = Family(
            Histogram,
            "http_request_duration_seconds",
            "Time from request head to end of response",
            {"method": METHODS, "path": TEMPLATES},
            buckets=HTTP_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("http_in_flight_requests", "Requests being served now", registry=registry)

    def answered(self) -> int:
        """Requests counted so far."""
        samples = (sample for family in self.requests.collect() for sample in family.samples)
        return int(sum(sample.value for sample in samples))

    def finish(self, method: str, template: str, status: int, seconds: float) -> None:
        known = method if method in METHODS else "OTHER"
        self.requests(known, template, str(status)).inc()
        self.seconds(known, template).observe(seconds)


class LoopMetrics:
    """How the event loop does, and the log that is written from it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Histogram(
            "event_loop_lag_seconds",
            "How late a timer of the event loop fired",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.tasks = Gauge("asyncio_tasks", "Tasks of the event loop", registry=registry)
        self.lost_lines = Counter(
            "log_lines_lost_total",
            "Lines of the log that a full disk or a reader that stopped did not take",
            registry=registry,
        )


class DatabaseMetrics:
    """One process's database: its statements and its pool."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Family(
            Histogram,
            "db_query_seconds",
            "Time of one SQL statement, pool wait apart",
            {"statement": STATEMENTS},
            buckets=FAST_BUCKETS,
            registry=registry,
        )
        self.connections = Family(
            Gauge,
            "db_pool_connections",
            "Connections of the database pool",
            {"state": ("in_use", "idle")},
            registry=registry,
        )
        self.limit = Gauge("db_pool_limit", "Connections the database pool may open", registry=registry)
        self.wait = Histogram(
            "db_pool_wait_seconds", "Wait for a connection", buckets=FAST_BUCKETS, registry=registry
        )

    def watch(self, in_use: Callable[[], float], idle: Callable[[], float], limit: int) -> None:
        """Ask these at each scrape."""
        self.connections("in_use").set_function(in_use)
        self.connections("idle").set_function(idle)
        self.limit.set(limit)


def cache_lookups(registry: CollectorRegistry, results: tuple[str, ...]) -> Counters:
    """Looks into a cache of rows."""
    return Family(
        Counter, "cache_lookups", "Looks into the cache of rows", {"result": results}, registry=registry
    )


class QueueMetrics:
    """Places where work waits, and how many may."""

    def __init__(self, registry: CollectorRegistry, queues: tuple[str, ...]) -> None:
        labels = {"queue": queues}
        self._waiting = Family(
            Gauge, "queue_waiting", "Items that wait in a queue", labels, registry=registry
        )
        self._limit = Family(Gauge, "queue_limit", "Items a queue may hold", labels, registry=registry)

    def watch(self, queue: str, waiting: Callable[[], float], limit: int) -> None:
        """Ask this at each scrape."""
        self._waiting(queue).set_function(waiting)
        self._limit(queue).set(limit)


class StoreMetrics:
    """Requests to the object store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Family(
            Histogram,
            "store_request_seconds",
            "Time of one request to the object store",
            {
                "op": STORE_OPERATIONS,
                "result": ("ok", "aborted", "not_found", "precondition", "refused", "unavailable"),
            },
            buckets=HTTP_BUCKETS,
            registry=registry,
        )

    def observe(self, op: str, result: str, seconds: float) -> None:
        self.seconds(op, result).observe(seconds)

    def observe_sweep(self, op: str, result: str, seconds: float) -> None:
        """Of a sweep: never mistaken for a request that an upload or a download made."""
        self.observe(f"sweep_{op}", result, seconds)


class SweepMetrics:
    """What sweeps removed, and when this process last did one.

    Args:
        now: seconds since the epoch.
    """

    def __init__(
        self, registry: CollectorRegistry, kinds: tuple[str, ...], now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self.items = Family(
            Counter,
            "sweep_items",
            "What sweeps removed, or with dry_run=1 would have removed",
            {"kind": kinds, "dry_run": ("0", "1")},
            registry=registry,
        )
        self._last = Gauge(
            "sweep_last_success_timestamp_seconds",
            "When this process last finished a sweep, before that when it started",
            registry=registry,
        )
        self._seconds = Gauge(
            "sweep_last_duration_seconds", "How long that sweep took; 0 before the first", registry=registry
        )
        self._interval = Gauge(
            "sweep_interval_seconds", "Between two sweeps, whichever replica does them", registry=registry
        )
        self._last.set(now())

    def every(self, interval_s: float) -> None:
        self._interval.set(interval_s)

    def ran(self, seconds: float) -> None:
        """A whole sweep came to its end."""
        self._last.set(self._now())
        self._seconds.set(seconds)


BREAKER_STATES = ("closed", "half_open", "open")


class UpstreamMetrics:
    """Calls to another service: time by result, connections opened, retries, breakers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Family(
            Histogram,
            "upstream_request_seconds",
            "Time of one request to another service",
            {
                "upstream": UPSTREAMS,
                "result": ("ok", "client_fault", "server_fault", "transport", "timeout"),
            },
            buckets=HTTP_BUCKETS,
            registry=registry,
        )
        self.opened = Family(
            Counter,
            "upstream_connections_opened",
            "Connections opened",
            {"upstream": UPSTREAMS},
            registry=registry,
        )
        self.retries = Family(
            Counter,
            "upstream_retries",
            "Requests sent a second time",
            {"upstream": UPSTREAMS},
            registry=registry,
        )
        self.transitions = Family(
            Counter,
            "breaker_transitions",
            "Changes of state of the breakers before another service",
            {"upstream": UPSTREAMS, "to": BREAKER_STATES},
            registry=registry,
        )
        self._breakers = Family(
            Gauge,
            "breaker_state",
            "Worst state of the breakers before another service: 0 closed, 1 half-open, 2 open",
            {"upstream": UPSTREAMS},
            registry=registry,
        )
        self._states: dict[str, list[Callable[[], int]]] = {}

    def watch_breaker(self, upstream: str, state: Callable[[], int]) -> None:
        """Ask this too, of all addresses of a service, at each scrape."""
        states = self._states.setdefault(upstream, [])
        states.append(state)
        for to in BREAKER_STATES:  # from 0 on, so that the first change is an increase
            self.transitions(upstream, to)
        self._breakers(upstream).set_function(lambda: max(state() for state in states))


def rate_limited(registry: CollectorRegistry, scopes: tuple[str, ...]) -> Counters:
    """Refusals by a rate limit."""
    return Family(
        Counter,
        "rate_limited",
        "Requests refused by a rate limit",
        {"scope": scopes, "tier": "names of tiers, `none` where there are none"},
        registry=registry,
    )
