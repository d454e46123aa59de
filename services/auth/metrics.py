"""Metric families of the auth service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.kit.metrics import (
    FAST_BUCKETS,
    Cached,
    DatabaseMetrics,
    HttpMetrics,
    LoopMetrics,
    base_registry,
)


class Metrics:
    """The one registry of the process."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.logins = Cached(
            Counter("auth_logins", "Logins by outcome", ("result", "cache"), registry=self.registry)
        )
        self.hash_seconds = Cached(
            Histogram(
                "auth_password_hash_seconds",
                "Time of one password hash, wait for a thread apart",
                ("scheme", "op"),
                buckets=FAST_BUCKETS,
                registry=self.registry,
            )
        )
        self.limited = Cached(
            Counter(
                "rate_limited", "Requests refused by a rate limit", ("scope", "tier"), registry=self.registry
            )
        )
