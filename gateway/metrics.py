"""Every metric of the gateway."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.kit.metrics import (
    FAST_BUCKETS,
    Family,
    HttpMetrics,
    LoopMetrics,
    QueueMetrics,
    UpstreamMetrics,
    base_registry,
    rate_limited,
)
from services.kit.redis import Failure

QUEUE = "admission"


class AdmissionMetrics:
    """How many requests run and wait, how long, and who was refused."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = Gauge("admission_running", "Admitted requests that run", registry=registry)
        self._queued = Gauge("admission_queued", "Admitted requests that wait their turn", registry=registry)
        self._limit = Gauge(
            "admission_limit", "Requests that may run or wait at once; 0: no limit", registry=registry
        )
        self._queue = QueueMetrics(registry, (QUEUE,))
        self.wait = Histogram(
            "admission_wait_seconds",
            "Wait of requests that did not run at once",
            buckets=FAST_BUCKETS,
            registry=registry,
        )
        self.rejected = Family(
            Counter,
            "admission_rejected",
            "Requests refused by admission control",
            {"reason": ("full", "deadline")},
            registry=registry,
        )

    def watch(
        self, running: Callable[[], float], queued: Callable[[], float], *, admitted: int, queue: int
    ) -> None:
        """Ask these at each scrape."""
        self._running.set_function(running)
        self._queued.set_function(queued)
        self._limit.set(admitted)
        self._queue.watch(QUEUE, queued, queue)


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.upstream = UpstreamMetrics(self.registry)
        self.admission = AdmissionMetrics(self.registry)
        self.rate_limited = rate_limited(self.registry, ("ip", "user"))
        self.rate_limit_fallback = Family(
            Counter,
            "rate_limit_fallback",
            "Requests counted by this process alone, because Redis did not answer",
            {"reason": tuple(Failure)},
            registry=self.registry,
        )
        transferred = Family(
            Counter,
            "gateway_bytes",
            "Body bytes on the clients' side of the gateway",
            {"direction": ("in", "out")},
            registry=self.registry,
        )
        self.bytes_in = transferred("in")
        self.bytes_out = transferred("out")
