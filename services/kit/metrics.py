"""Metric families that every process has, and helpers to declare more.

Each process has one ``metrics.py`` that builds one registry; nothing else creates a metric. Children
are cached by their label values, which come from fixed sets only (route templates, the error table,
statement names), so a hostile path can never make a series.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60)
FAST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
CLIENT_GONE = 499


def base_registry() -> CollectorRegistry:
    """A registry with the client library's own process, platform and collector figures."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class Cached:
    """Children of one metric by label values, looked up once."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], Any] = {}

    def __call__(self, *labels: str) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class HttpMetrics:
    """The three HTTP families of every process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "path")
        self.requests = Cached(
            Counter("http_requests", "Requests answered", (*labels, "status"), registry=registry)
        )
        self.seconds = Cached(
            Histogram(
                "http_request_duration_seconds",
                "Time from request head to end of response",
                labels,
                buckets=HTTP_BUCKETS,
                registry=registry,
            )
        )
        self.in_flight = Gauge("http_in_flight_requests", "Requests being served now", registry=registry)

    def finish(self, method: str, template: str, status: int, seconds: float) -> None:
        known = method if method in METHODS else "OTHER"
        self.requests(known, template, str(status)).inc()
        self.seconds(known, template).observe(seconds)


class LoopMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Histogram(
            "event_loop_lag_seconds",
            "How late a timer of the event loop fired",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.tasks = Gauge("asyncio_tasks", "Tasks of the event loop", registry=registry)


class DatabaseMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Cached(
            Histogram(
                "db_query_seconds",
                "Time of one SQL statement, pool wait apart",
                ("statement",),
                buckets=FAST_BUCKETS,
                registry=registry,
            )
        )
        self.connections = Gauge(
            "db_pool_connections", "Connections of the database pool", ("state",), registry=registry
        )
        self.wait = Histogram(
            "db_pool_wait_seconds", "Wait for a connection", buckets=FAST_BUCKETS, registry=registry
        )

    def watch(self, in_use: Callable[[], float], idle: Callable[[], float]) -> None:
        self.connections.labels("in_use").set_function(in_use)
        self.connections.labels("idle").set_function(idle)


class StoreMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Cached(
            Histogram(
                "store_request_seconds",
                "Time of one request to the object store",
                ("op", "result"),
                buckets=HTTP_BUCKETS,
                registry=registry,
            )
        )

    def observe(self, op: str, result: str, seconds: float) -> None:
        self.seconds(op, result).observe(seconds)


class UpstreamMetrics:
    """Calls to another service: time by result, connections opened, retries, breaker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Cached(
            Histogram(
                "upstream_request_seconds",
                "Time of one request to another service",
                ("upstream", "result"),
                buckets=HTTP_BUCKETS,
                registry=registry,
            )
        )
        self.opened = Cached(
            Counter("upstream_connections_opened", "Connections opened", ("upstream",), registry=registry)
        )
        self.retries = Cached(
            Counter("upstream_retries", "Requests sent a second time", ("upstream",), registry=registry)
        )
