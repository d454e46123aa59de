"""What Prometheus knows about the load: uploads by strategy, errors, alerts, whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compose.prom import Alert, Prometheus, Sample

WINDOW = "20s"  # four scrapes
STRATEGIES = {"proxy": "proxy-chunked", "multipart": "direct-multipart", "single": "direct-single"}
_NOT_USERS = 'path!~"(/.*)?/(live|ready|health|health/detailed|ping)"'
_DURABLE = f"sum by (method, le) (rate(upload_time_to_durable_seconds_bucket[{WINDOW}]))"
EXPRESSIONS = {  # every upload process counts all open uploads in the database
    "uploads": f'sum by (method) (rate(upload_sessions_total{{event="completed"}}[{WINDOW}]))',
    "failed": f'sum by (method) (rate(upload_sessions_total{{event="failed"}}[{WINDOW}]))',
    "open": "sum by (method) (max by (method, status) (upload_sessions_open))",
    "p50": f"histogram_quantile(0.5, {_DURABLE})",
    "p95": f"histogram_quantile(0.95, {_DURABLE})",
    "requests": f'sum by (service) (rate(http_requests_total{{job="vaultbench",{_NOT_USERS}}}[{WINDOW}]))',
    "errors": f'sum by (service) (rate(http_requests_total{{job="vaultbench",status=~"5.."}}[{WINDOW}]))',
    "turn": "testbed_turn_active == 1",
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """Uploads of one kind: per second, seconds until durable, open ones."""

    name: str
    uploads: float
    failed: float
    open: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class Rates:
    """One look at Prometheus; `missing` says why there is none."""

    strategies: tuple[Strategy, ...] = ()
    requests: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    turn: str = ""
    missing: str = ""


def look(prometheus: Prometheus) -> Rates:
    """Everything at once. Raises `PrometheusGone`."""
    found = {name: prometheus.query(expression) for name, expression in EXPRESSIONS.items()}
    by = {name: _by(samples, "method") for name, samples in found.items()}
    strategies = (
        Strategy(
            title,
            by["uploads"].get(method, 0.0),
            by["failed"].get(method, 0.0),
            int(by["open"].get(method, 0)),
            by["p50"].get(method),
            by["p95"].get(method),
        )
        for method, title in STRATEGIES.items()
    )
    return Rates(
        tuple(strategies),
        _by(found["requests"], "service"),
        _by(found["errors"], "service"),
        tuple(prometheus.alerts()),
        _turn(found["turn"]),
    )


def _by(samples: list[Sample], label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in samples if label in sample.labels}


def _turn(samples: list[Sample]) -> str:
    if not samples:
        return ""
    part, arm, run = (samples[0].labels.get(name, "?") for name in ("part", "arm", "run"))
    return f"{part}: {arm}, run {run}"
