"""Metric families of the files service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from services.kit.metrics import (
    Cached,
    DatabaseMetrics,
    HttpMetrics,
    LoopMetrics,
    StoreMetrics,
    base_registry,
)


class Metrics:
    """The one registry of the process."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.store = StoreMetrics(self.registry)
        self.presigned = Cached(
            Counter("files_presigned", "Presigned URLs given out", ("op", "cache"), registry=self.registry)
        )
        self.download_bytes = Counter(
            "files_download_bytes", "Bytes of files sent through this service", registry=self.registry
        )
