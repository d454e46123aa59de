"""Every metric of the gateway."""

from __future__ import annotations

from prometheus_client import Counter

from services.kit.metrics import (
    Family,
    HttpMetrics,
    LoopMetrics,
    UpstreamMetrics,
    base_registry,
    rate_limited,
)
from services.kit.redis import Failure


class Metrics:
    """One registry and the families in it."""

    def __init__(self) -> None:
        self.registry = base_registry()
        self.http = HttpMetrics(self.registry)
        self.loop = LoopMetrics(self.registry)
        self.upstream = UpstreamMetrics(self.registry)
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
