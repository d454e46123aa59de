"""Every metric of the gateway."""

from __future__ import annotations

from services.kit.metrics import HttpMetrics, LoopMetrics, UpstreamMetrics, base_registry, rate_limited
from services.kit.metrics_types import Counters


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.upstream = UpstreamMetrics(self.registry)
        self.rate_limited = rate_limited(self.registry, ("ip", "user"))
        transferred = Counters(
            "gateway_bytes",
            "Body bytes on the clients' side of the gateway",
            {"direction": ("in", "out")},
            registry=self.registry,
        )
        self.bytes_in = transferred("in")
        self.bytes_out = transferred("out")
