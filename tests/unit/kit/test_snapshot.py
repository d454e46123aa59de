"""Figures as JSON: counted since the last reset, while what Prometheus reads goes on."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from services.kit.metrics import Family, base_registry
from services.kit.snapshot import Snapshot

pytestmark = pytest.mark.unit


def values(snapshot: Snapshot, family: str) -> dict[tuple[str, ...], float]:
    """Values by name and label values."""
    samples = snapshot.metrics()[family]["samples"]
    return {(sample["name"], *sample["labels"].values()): sample["value"] for sample in samples}


def test_counts_begin_again_and_gauges_stay() -> None:
    registry = CollectorRegistry()
    requests = Family(Counter, "requests", "Requests", {"method": ("GET", "PUT")}, registry=registry)
    waiting = Gauge("waiting", "Waiting now", registry=registry)
    seconds = Histogram("seconds", "Time", buckets=(1.0, 2.0), registry=registry)
    snapshot = Snapshot(registry, "2026-09-17T12:00:00Z")
    requests("GET").inc(3)
    waiting.set(5)
    seconds.observe(1.5)
    assert values(snapshot, "requests") == {("requests_total", "GET"): 3, ("requests_total", "PUT"): 0}

    snapshot.reset("2026-09-17T12:01:00Z")
    requests("PUT").inc()
    seconds.observe(0.5)
    assert snapshot.since == "2026-09-17T12:01:00Z"
    assert values(snapshot, "requests") == {("requests_total", "GET"): 0, ("requests_total", "PUT"): 1}
    assert values(snapshot, "waiting") == {("waiting",): 5}
    assert values(snapshot, "seconds") == {
        ("seconds_bucket", "1.0"): 1,
        ("seconds_bucket", "2.0"): 1,
        ("seconds_bucket", "+Inf"): 1,
        ("seconds_count",): 1,
        ("seconds_sum",): 0.5,
    }
    assert b'requests_total{method="GET"} 3.0' in generate_latest(registry)


def test_a_reset_leaves_the_start_of_the_process() -> None:
    snapshot = Snapshot(base_registry(), "2026-09-17T12:00:00Z")
    before = snapshot.metrics()["process_start_time_seconds"]
    snapshot.reset("2026-09-17T12:01:00Z")
    assert snapshot.metrics()["process_start_time_seconds"] == before
    assert values(snapshot, "process_cpu_seconds")[("process_cpu_seconds_total",)] < 1.0
