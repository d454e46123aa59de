"""Every metric of the auth service."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from services.auth.outcome import LoginResult, ProofLookup
from services.auth.passwords import SCHEMES
from services.kit.metrics import (
    FAST_BUCKETS,
    DatabaseMetrics,
    Family,
    HttpMetrics,
    LoopMetrics,
    QueueMetrics,
    base_registry,
    rate_limited,
)


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.queue = QueueMetrics(self.registry, ("hash",))
        self.logins = Family(
            Counter,
            "auth_logins",
            "Logins by outcome",
            {
                "result": tuple(LoginResult),
                "cache": tuple(ProofLookup),
            },
            registry=self.registry,
        )
        self.hash_seconds = Family(
            Histogram,
            "auth_password_hash_seconds",
            "Time of one password hash, wait for a thread apart",
            {"scheme": tuple(SCHEMES), "op": ("hash", "verify")},
            buckets=FAST_BUCKETS,
            registry=self.registry,
        )
        self.limited = rate_limited(self.registry, ("login",))
