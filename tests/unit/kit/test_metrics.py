"""Metric families: fixed names and buckets, and no series made from what a client sends."""

from __future__ import annotations

import asyncio
import importlib

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.kit.metrics import HttpMetrics, base_registry, exposition
from services.kit.metrics_types import Family

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
    for family in registry._collector_to_names:
        if isinstance(family, Family):
            assert not set(family.labels) & ID_LIKE
            assert family.documentation.strip()


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
