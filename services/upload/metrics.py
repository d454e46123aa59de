"""Metric families of the upload service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.kit.metrics import (
    FAST_BUCKETS,
    HTTP_BUCKETS,
    Cached,
    DatabaseMetrics,
    HttpMetrics,
    LoopMetrics,
    StoreMetrics,
    UpstreamMetrics,
    base_registry,
)

_DURABLE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """The one registry of the process."""

    def __init__(self) -> None:
        self.registry = registry = base_registry()
        self.http = HttpMetrics(registry)
        self.loop = LoopMetrics(registry)
        self.database = DatabaseMetrics(registry)
        self.store = StoreMetrics(registry)
        self.upstream = UpstreamMetrics(registry)
        self._sessions(registry)
        self._bytes(registry)
        self._finalisation(registry)

    def _sessions(self, registry: CollectorRegistry) -> None:
        self.sessions = Cached(
            Counter("upload_sessions", "Uploads by what happened", ("method", "event"), registry=registry)
        )
        self.sessions_open = Cached(
            Gauge("upload_sessions_open", "Uploads that are open", ("method", "status"), registry=registry)
        )

    def _bytes(self, registry: CollectorRegistry) -> None:
        self.bytes = Cached(
            Counter(
                "upload_bytes",
                "Bytes received by proxy, or verified at completion",
                ("method",),
                registry=registry,
            )
        )
        self.chunks = Cached(Counter("upload_chunks", "Chunks by result", ("result",), registry=registry))
        self.chunk_seconds = Cached(
            Histogram(
                "upload_chunk_phase_seconds",
                "Time of the phases of one chunk",
                ("phase",),
                buckets=FAST_BUCKETS,
                registry=registry,
            )
        )
        self.parts = Cached(
            Counter("upload_parts_registered", "Registrations of parts", ("result",), registry=registry)
        )
        self.spool_bytes = Gauge("upload_spool_bytes", "Bytes of spool files on disk", registry=registry)

    def _finalisation(self, registry: CollectorRegistry) -> None:
        self.durable_seconds = Cached(
            Histogram(
                "upload_time_to_durable_seconds",
                "From the session's creation to durable",
                ("method",),
                buckets=_DURABLE_BUCKETS,
                registry=registry,
            )
        )
        self.finalise_seconds = Cached(
            Histogram(
                "upload_finalise_seconds",
                "Time of the phases of one finalisation",
                ("method", "phase"),
                buckets=HTTP_BUCKETS,
                registry=registry,
            )
        )
        self.jobs = Cached(
            Gauge("upload_finalise_jobs", "Finalisations of this process", ("state",), registry=registry)
        )
        self.oldest = Gauge(
            "upload_finalise_oldest_seconds", "Age of the oldest queued finalisation", registry=registry
        )
        self.attempts = Cached(
            Counter(
                "upload_finalise_attempts",
                "Attempts to finalise by result",
                ("method", "result"),
                registry=registry,
            )
        )
        self.early_acks = Counter(
            "upload_ack_before_durable", "Last chunks answered before durable", registry=registry
        )

    @contextmanager
    def phase(self, method: str, phase: str) -> Iterator[None]:
        """Times one phase of a finalisation, also when it fails."""
        started = perf_counter()
        try:
            yield
        finally:
            self.finalise_seconds(method, phase).observe(perf_counter() - started)
