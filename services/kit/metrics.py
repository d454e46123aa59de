"""The metric families that every process has.

Each process has one ``metrics.py`` that builds one registry; nothing else creates a metric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector

from services.kit.metrics_types import Counters, Gauges, Histograms

HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60)
FAST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER")
UNMATCHED = "unmatched"
CLIENT_GONE = 499

# Values that tables in the code fix; these words stand for them in the documentation.
TEMPLATES = "route templates, or `unmatched`"
STATUSES = "status codes, 499 for a client that left"
STATEMENTS = "names of SQL statements"
UPSTREAMS = "names of services"
STORE_OPERATIONS = "operations of the object store"


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
        self.requests = Counters(
            "http_requests",
            "Requests answered",
            {"method": METHODS, "path": TEMPLATES, "status": STATUSES},
            registry=registry,
        )
        self.seconds = Histograms(
            "http_request_duration_seconds",
            "Time from request head to end of response",
            {"method": METHODS, "path": TEMPLATES},
            bounds=HTTP_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauges("http_in_flight_requests", "Requests being served now", registry=registry)()

    def finish(self, method: str, template: str, status: int, seconds: float) -> None:
        known = method if method in METHODS else "OTHER"
        self.requests(known, template, str(status)).inc()
        self.seconds(known, template).observe(seconds)


class LoopMetrics:
    """How the event loop does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Histograms(
            "event_loop_lag_seconds",
            "How late a timer of the event loop fired",
            bounds=LAG_BUCKETS,
            registry=registry,
        )()
        self.tasks = Gauges("asyncio_tasks", "Tasks of the event loop", registry=registry)()


class DatabaseMetrics:
    """One process's database: its statements and its pool."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histograms(
            "db_query_seconds",
            "Time of one SQL statement, pool wait apart",
            {"statement": STATEMENTS},
            bounds=FAST_BUCKETS,
            registry=registry,
        )
        self.connections = Gauges(
            "db_pool_connections",
            "Connections of the database pool",
            {"state": ("in_use", "idle")},
            registry=registry,
        )
        self.limit = Gauges("db_pool_limit", "Connections the database pool may open", registry=registry)()
        self.wait = Histograms(
            "db_pool_wait_seconds", "Wait for a connection", bounds=FAST_BUCKETS, registry=registry
        )()

    def watch(self, in_use: Callable[[], float], idle: Callable[[], float], limit: int) -> None:
        """Ask these at each scrape."""
        self.connections("in_use").set_function(in_use)
        self.connections("idle").set_function(idle)
        self.limit.set(limit)


class QueueMetrics:
    """Places where work waits, and how many may."""

    def __init__(self, registry: CollectorRegistry, queues: tuple[str, ...]) -> None:
        labels = {"queue": queues}
        self._waiting = Gauges("queue_waiting", "Items that wait in a queue", labels, registry=registry)
        self._limit = Gauges("queue_limit", "Items a queue may hold", labels, registry=registry)

    def watch(self, queue: str, waiting: Callable[[], float], limit: int) -> None:
        """Ask this at each scrape."""
        self._waiting(queue).set_function(waiting)
        self._limit(queue).set(limit)


class StoreMetrics:
    """Requests to the object store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histograms(
            "store_request_seconds",
            "Time of one request to the object store",
            {
                "op": STORE_OPERATIONS,
                "result": ("ok", "aborted", "not_found", "precondition", "refused", "unavailable"),
            },
            bounds=HTTP_BUCKETS,
            registry=registry,
        )

    def observe(self, op: str, result: str, seconds: float) -> None:
        self.seconds(op, result).observe(seconds)


class UpstreamMetrics:
    """Calls to another service: time by result, connections opened, retries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histograms(
            "upstream_request_seconds",
            "Time of one request to another service",
            {
                "upstream": UPSTREAMS,
                "result": ("ok", "client_fault", "server_fault", "transport", "timeout"),
            },
            bounds=HTTP_BUCKETS,
            registry=registry,
        )
        self.opened = Counters(
            "upstream_connections_opened", "Connections opened", {"upstream": UPSTREAMS}, registry=registry
        )
        self.retries = Counters(
            "upstream_retries", "Requests sent a second time", {"upstream": UPSTREAMS}, registry=registry
        )


def rate_limited(registry: CollectorRegistry, scopes: tuple[str, ...]) -> Counters:
    """Refusals by a rate limit."""
    return Counters(
        "rate_limited",
        "Requests refused by a rate limit",
        {"scope": scopes, "tier": "names of tiers, `none` where there are none"},
        registry=registry,
    )
