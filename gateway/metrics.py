"""Every metric of the gateway."""

from __future__ import annotations

from prometheus_client import Counter

from services.kit.metrics import Cached, HttpMetrics, LoopMetrics, UpstreamMetrics, base_registry


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.upstream = UpstreamMetrics(self.registry)
        self.rate_limited = Cached(
            Counter(
                "rate_limited", "Requests refused by a rate limit", ("scope", "tier"), registry=self.registry
            )
        )
        transferred = Counter(
            "gateway_bytes",
            "Body bytes on the clients' side of the gateway",
            ("direction",),
            registry=self.registry,
        )
        self.bytes_in = transferred.labels("in")
        self.bytes_out = transferred.labels("out")
