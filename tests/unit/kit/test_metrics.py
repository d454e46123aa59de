"""Metric families: fixed names and buckets, and no series made from what a client sends."""

from __future__ import annotations

import asyncio
import importlib

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from docs.families import declared
from services.kit.metrics import MAX_CHILDREN, Family, HttpMetrics, base_registry, exposition

pytestmark = pytest.mark.unit

PACKAGES = ["gateway", "services.auth", "services.upload", "services.files"]
HTTP_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60]
ID_LIKE = {"user_id", "file_id", "upload_uuid", "request_id", "file_name", "address", "ip", "url", "email"}


def test_the_three_http_families_are_what_dashboards_expect() -> None:
    registry = CollectorRegistry()
    HttpMetrics(registry).finish("GET", "/f/{file_id}", 200, 0.2)
    families = {one.name: one for one in text_string_to_metric_families(generate_latest(registry).decode())}
    (count,) = [s for s in families["http_requests"].samples if s.name == "http_requests_total"]
    assert count.labels == {"method": "GET", "path": "/f/{file_id}", "status": "200"}
    buckets = [s for s in families["http_request_duration_seconds"].samples if s.name.endswith("_bucket")]
    assert [float(s.labels["le"]) for s in buckets] == [*HTTP_BOUNDS, float("inf")]
    assert families["http_in_flight_requests"].type == "gauge"


def test_an_unknown_method_is_other() -> None:
    registry = CollectorRegistry()
    metrics = HttpMetrics(registry)
    for number in range(100):
        metrics.finish(f"X{number}", "unmatched", 405, 0.0)
    text = generate_latest(registry).decode()
    assert text.count("http_requests_total{") == 1
    assert 'method="OTHER"' in text


@pytest.mark.parametrize("package", PACKAGES)
def test_every_process_declares_its_families_once_and_without_identities(package: str) -> None:
    registry = importlib.import_module(f"{package}.metrics").Metrics().registry
    names = [family.name for family in registry.collect()]
    assert len(names) == len(set(names))
    assert {"http_requests", "http_request_duration_seconds", "event_loop_lag_seconds"} <= set(names)
    for metric, labels in declared(registry):
        assert not set(labels) & ID_LIKE
        assert all(family.documentation.strip() for family in metric.describe())


async def test_the_page_is_the_librarys_and_lets_others_run_in_between() -> None:
    registry, turns = CollectorRegistry(), 0
    metrics = HttpMetrics(registry)
    metrics.finish("GET", "/f/{file_id}", 200, 0.2)

    async def beside() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(beside())
    page = await exposition(registry)
    other.cancel()
    assert page == generate_latest(registry)
    assert turns >= 3  # as many as there are families


def test_the_base_registry_holds_the_client_librarys_own() -> None:
    names = {family.name for family in base_registry().collect()}
    assert {"process_cpu_seconds", "python_info"} <= names


def test_a_histogram_says_its_bounds_as_ever() -> None:
    registry = CollectorRegistry()
    Family(Histogram, "h_seconds", "h", {"op": ("a",)}, buckets=(0.005, 1, 2.5), registry=registry)(
        "a"
    ).observe(1)
    assert generate_latest(registry).decode().splitlines()[2:] == [
        'h_seconds_bucket{le="0.005",op="a"} 0.0',
        'h_seconds_bucket{le="1.0",op="a"} 1.0',
        'h_seconds_bucket{le="2.5",op="a"} 1.0',
        'h_seconds_bucket{le="+Inf",op="a"} 1.0',
        'h_seconds_count{op="a"} 1.0',
        'h_seconds_sum{op="a"} 1.0',
    ]


def test_counters_with_known_values_start_at_zero_and_others_do_not() -> None:
    registry = CollectorRegistry()
    done = Family(Counter, "done", "d", {"how": ("well", "badly")}, registry=registry)
    Family(Counter, "asked", "a", {"how": ("well",), "what": "names from a table"}, registry=registry)
    level = Family(Gauge, "level", "l", {"of": ("tank",)}, registry=registry)
    done("well").inc()
    assert registry.get_sample_value("done_total", {"how": "well"}) == 1
    assert registry.get_sample_value("done_total", {"how": "badly"}) == 0
    assert "asked_total{" not in generate_latest(registry).decode()
    assert registry.get_sample_value("level", {"of": "tank"}) is None
    level("tank").set(4)
    assert registry.get_sample_value("level", {"of": "tank"}) == 4


def test_times_of_creation_are_not_exposed() -> None:
    registry = CollectorRegistry()
    Family(Counter, "done", "d", {"how": ("well",)}, registry=registry)("well").inc()
    Histogram("h_seconds", "h", registry=registry).observe(1)
    assert "_created" not in generate_latest(registry).decode()


def test_values_that_are_not_declared_are_other() -> None:
    registry = CollectorRegistry()
    done = Family(Counter, "done", "d", {"how": ("well",)}, registry=registry)
    for number in range(50):
        done(f"strange {number}").inc()
    assert registry.get_sample_value("done_total", {"how": "other"}) == 50
    assert generate_latest(registry).decode().count("done_total{") == 2


def test_a_table_of_values_has_an_end_too() -> None:
    registry = CollectorRegistry()
    asked = Family(Counter, "asked", "a", {"path": "a table somebody forgot to bound"}, registry=registry)
    for number in range(MAX_CHILDREN + 100):
        asked(f"/{number}").inc()
    assert generate_latest(registry).decode().count("asked_total{") == MAX_CHILDREN + 1
    assert registry.get_sample_value("asked_total", {"path": "other"}) == 100


def test_one_child_per_set_of_values_in_the_declared_number() -> None:
    registry = CollectorRegistry()
    done = Family(Counter, "done", "d", {"how": ("well",), "when": "names of days"}, registry=registry)
    assert done("well", "monday") is done("well", "monday")
    with pytest.raises(ValueError, match="longer"):
        done("well")


def test_a_name_is_declared_once() -> None:
    registry = CollectorRegistry()
    Family(Counter, "done", "d", {"how": ("well",)}, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Gauge("done", "d", registry=registry)
