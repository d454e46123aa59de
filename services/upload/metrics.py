"""Every metric of the upload service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.kit.cache import Lookup
from services.kit.metrics import (
    FAST_BUCKETS,
    HTTP_BUCKETS,
    DatabaseMetrics,
    Family,
    HttpMetrics,
    LoopMetrics,
    QueueMetrics,
    StoreMetrics,
    SweepMetrics,
    UpstreamMetrics,
    base_registry,
    cache_lookups,
)
from services.upload.model import OPEN_STATES, Method, PartOutcome

_DURABLE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_METHODS = tuple(Method)


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = registry = base_registry()
        self.http = HttpMetrics(registry)
        self.loop = LoopMetrics(registry)
        self.database = DatabaseMetrics(registry)
        self.store = StoreMetrics(registry)
        self.cache = cache_lookups(registry, tuple(Lookup))
        self.upstream = UpstreamMetrics(registry)
        self.queue = QueueMetrics(registry, ("finalise",))
        self.sweep = SweepMetrics(registry, ("session", "multipart", "object", "spool", "row"))
        self._sessions(registry)
        self._bytes(registry)
        self._finalisation(registry)

    def _sessions(self, registry: CollectorRegistry) -> None:
        self.sessions = Family(
            Counter,
            "upload_sessions",
            "Uploads by what happened",
            {"method": _METHODS, "event": ("created", "completed", "failed", "aborted", "expired")},
            registry=registry,
        )
        self.sessions_open = Family(
            Gauge,
            "upload_sessions_open",
            "Uploads that are open",
            {"method": _METHODS, "status": OPEN_STATES},
            registry=registry,
        )

    def _bytes(self, registry: CollectorRegistry) -> None:
        self.bytes = Family(
            Counter,
            "upload_bytes",
            "Bytes received by proxy, or verified at completion",
            {"method": _METHODS},
            registry=registry,
        )
        self.chunks = Family(
            Counter,
            "upload_chunks",
            "Chunks by result",
            {"result": ("stored", "duplicate", "replaced", "empty", "refused")},
            registry=registry,
        )
        self.bodies = Gauge("upload_bodies", "Bodies that are being received", registry=registry)
        self.chunk_seconds = Family(
            Histogram,
            "upload_chunk_phase_seconds",
            "Time of the phases of one chunk",
            {"phase": ("receive", "hash", "write", "database")},
            buckets=FAST_BUCKETS,
            registry=registry,
        )
        self.parts = Family(
            Counter,
            "upload_parts_registered",
            "Registrations of parts",
            {"result": tuple(PartOutcome)},
            registry=registry,
        )
        self.batch_files = Family(
            Counter,
            "batch_files",
            "Files of batches by result",
            {"op": ("upload",), "result": ("ok", "failed")},
            registry=registry,
        )
        self.spool_bytes = Gauge("upload_spool_bytes", "Bytes of spool files on disk", registry=registry)

    def _finalisation(self, registry: CollectorRegistry) -> None:
        self.durable_seconds = Family(
            Histogram,
            "upload_time_to_durable_seconds",
            "From the session's creation to durable",
            {"method": _METHODS},
            buckets=_DURABLE_BUCKETS,
            registry=registry,
        )
        self.finalise_seconds = Family(
            Histogram,
            "upload_finalise_seconds",
            "Time of the phases of one finalisation",
            {"method": _METHODS, "phase": ("wait", "assemble", "store", "verify", "register", "total")},
            buckets=HTTP_BUCKETS,
            registry=registry,
        )
        self.jobs = Family(
            Gauge,
            "upload_finalise_jobs",
            "Finalisations of this process",
            {"state": ("queued", "running")},
            registry=registry,
        )
        self.oldest = Gauge(
            "upload_finalise_oldest_seconds", "Age of the oldest queued finalisation", registry=registry
        )
        self.attempts = Family(
            Counter,
            "upload_finalise_attempts",
            "Attempts to finalise by result",
            {"method": _METHODS, "result": ("ok", "retry", "failed")},
            registry=registry,
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
