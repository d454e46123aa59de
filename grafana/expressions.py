"""What Grafana's own variables in an expression stand for where no Grafana fills them in."""

from __future__ import annotations

from dataclasses import dataclass

from grafana.model import ANYTHING


@dataclass(frozen=True, slots=True)
class Span:
    """What Grafana's own variables stand for."""

    rate_window_s: float
    range_s: float
    run: str = ANYTHING

    def fill(self, expr: str) -> str:
        """An expression that Prometheus understands, for all services, strategies and arms."""
        values = {
            "$__rate_interval": f"{self.rate_window_s:g}s",
            "$__range": f"{max(1, round(self.range_s))}s",
            "$arm": ANYTHING,
            "$strategy": ANYTHING,
            "$service": ANYTHING,
            "$run": self.run,
        }
        for name, value in values.items():
            expr = expr.replace(name, value)
        return expr
