"""Every metric of the files service."""

from __future__ import annotations

from prometheus_client import Counter

from services.kit.cache import Lookup
from services.kit.metrics import (
    DatabaseMetrics,
    Family,
    HttpMetrics,
    LoopMetrics,
    StoreMetrics,
    SweepMetrics,
    UpstreamMetrics,
    base_registry,
    cache_lookups,
)


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.store = StoreMetrics(self.registry)
        self.sweep = SweepMetrics(self.registry, ("object", "multipart", "row", "orphan"))
        self.upstream = UpstreamMetrics(self.registry)
        self.batch_files = Family(
            Counter,
            "batch_files",
            "Files of batches",
            {"op": ("download",), "result": ("ok", "failed")},
            registry=self.registry,
        )
        self.presigned = Family(
            Counter,
            "files_presigned",
            "Presigned URLs given out",
            {"op": ("get",), "cache": ("hit", "miss")},
            registry=self.registry,
        )
        self.cache = cache_lookups(self.registry, tuple(Lookup))
        self.download_bytes = Counter(
            "files_download_bytes", "Bytes of files sent through this service", registry=self.registry
        )
