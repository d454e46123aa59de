"""The metric families that dashboards, rules and the harness rely on: name, type and labels."""

from __future__ import annotations

import importlib

import pytest

from docs.families import declared

pytestmark = pytest.mark.unit

ALL = {
    "http_requests": ("counter", {"method", "path", "status"}),
    "http_request_duration_seconds": ("histogram", {"method", "path"}),
    "http_in_flight_requests": ("gauge", set()),
    "event_loop_lag_seconds": ("histogram", set()),
    "asyncio_tasks": ("gauge", set()),
    "log_lines_lost": ("counter", set()),
}
DATABASE = {
    "db_query_seconds": ("histogram", {"statement"}),
    "db_pool_connections": ("gauge", {"state"}),
    "db_pool_limit": ("gauge", set()),
    "db_pool_wait_seconds": ("histogram", set()),
}
UPSTREAM = {
    "upstream_request_seconds": ("histogram", {"upstream", "result"}),
    "upstream_connections_opened": ("counter", {"upstream"}),
    "upstream_retries": ("counter", {"upstream"}),
    "breaker_state": ("gauge", {"upstream"}),
    "breaker_transitions": ("counter", {"upstream", "to"}),
}
STORE = {"store_request_seconds": ("histogram", {"op", "result"})}
SWEEP = {
    "sweep_items": ("counter", {"kind", "dry_run"}),
    "sweep_last_success_timestamp_seconds": ("gauge", set()),
    "sweep_last_duration_seconds": ("gauge", set()),
    "sweep_interval_seconds": ("gauge", set()),
}
QUEUE = {"queue_waiting": ("gauge", {"queue"}), "queue_limit": ("gauge", {"queue"})}
LIMITED = {"rate_limited": ("counter", {"scope", "tier"})}
FAMILIES: dict[str, dict[str, tuple[str, set[str]]]] = {
    "gateway": {
        **ALL,
        **UPSTREAM,
        **LIMITED,
        **QUEUE,
        "admission_running": ("gauge", set()),
        "admission_queued": ("gauge", set()),
        "admission_limit": ("gauge", set()),
        "admission_wait_seconds": ("histogram", set()),
        "admission_rejected": ("counter", {"reason"}),
    },
    "services.auth": {
        **ALL,
        **DATABASE,
        **LIMITED,
        **QUEUE,
        "auth_logins": ("counter", {"result", "cache"}),
        "auth_password_hash_seconds": ("histogram", {"scheme", "op"}),
    },
    "services.files": {
        **ALL,
        **DATABASE,
        **STORE,
        **SWEEP,
        "files_presigned": ("counter", {"op", "cache"}),
        "files_download_bytes": ("counter", set()),
    },
    "services.upload": {
        **ALL,
        **DATABASE,
        **STORE,
        **UPSTREAM,
        **QUEUE,
        **SWEEP,
        "upload_sessions": ("counter", {"method", "event"}),
        "upload_sessions_open": ("gauge", {"method", "status"}),
        "upload_bytes": ("counter", {"method"}),
        "upload_chunks": ("counter", {"result"}),
        "upload_chunk_phase_seconds": ("histogram", {"phase"}),
        "upload_parts_registered": ("counter", {"result"}),
        "upload_time_to_durable_seconds": ("histogram", {"method"}),
        "upload_finalise_seconds": ("histogram", {"method", "phase"}),
        "upload_finalise_jobs": ("gauge", {"state"}),
        "upload_finalise_oldest_seconds": ("gauge", set()),
        "upload_finalise_attempts": ("counter", {"method", "result"}),
        "upload_ack_before_durable": ("counter", set()),
        "upload_spool_bytes": ("gauge", set()),
    },
}


@pytest.mark.parametrize("package", FAMILIES)
def test_families(package: str) -> None:
    registry = importlib.import_module(f"{package}.metrics").Metrics().registry
    found = {
        family.name: (family.type, set(labels))
        for metric, labels in declared(registry)
        for family in metric.describe()
    }
    wanted = FAMILIES[package]
    assert {name: found.get(name) for name in wanted} == wanted
